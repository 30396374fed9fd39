/**
 * What an entry of the table of guards is.
 *
 * @module
 */

/** One piece of source, and what stands in its place when the guard is out. */
export interface Edit {
  readonly file: string
  /** The source text, which the file has exactly once. */
  readonly text: string
  readonly instead: string
}

/** A test that sees that a guard is out. */
export interface Witness {
  readonly file: string
  /** The test's name as its source has it, so `${…}` stands for the cases of a table. */
  readonly title: string
  /** The file that has the title, if it is another. */
  readonly titleIn?: string
  /** Of a table of cases only those whose name matches this, to save time. */
  readonly cases?: string
}

/** A guard, and the test that must fail when it is out. */
export interface Guard {
  /** A class of `docs/security-tests.md`. */
  readonly attack: string
  /** What is guarded against, so that "without …" can be said of it. */
  readonly guard: string
  /** More than one if another guard stands behind the first: all are taken out at once. */
  readonly edits: readonly Edit[]
  readonly witness: Witness
  /**
   * What the test fails with, where it is not by an assertion: text of the error. For what throws by
   * itself when the guard is out.
   */
  readonly error?: string
}

/** The regular expression for the names of the tests of a witness. */
export function namePattern({ title, cases }: Witness): string {
  if (cases !== undefined) return cases
  const escaped = title
    .split(/\$\{.*?\}(?=[^}]|$)/)
    .map((part) => part.replaceAll(/[.*+?^${}()|[\]\\/]/g, String.raw`\$&`))
  // Those that are tried on every database say on which.
  return `^${escaped.join('.*')}(?: \\([A-Za-z]+\\))?$`
}

/** The `error` of a guard without which the tests never end. */
export const timeUp = 'the time is up'

/** An edit; without `instead` the text is taken away. */
export function out(file: string, text: string, instead = ''): Edit {
  return { file, text, instead }
}

/** The cells of one route of the ingress matrix, in one room version. */
export function ingress(route: string, version = '11'): Witness {
  return {
    file: 'test/ingress-matrix.test.ts',
    title: `version \${version.id}: \${name}`,
    cases: `^version ${version}: ${route}$`,
  }
}

/** Tests of a file whose title stands in the source as it is. */
export function seenBy(file: string, title: string, cases?: string): Witness {
  return { file, title, ...(cases === undefined ? undefined : { cases }) }
}

/** The tables of cases of the auth rules. */
export function ruleCases(file: string, subject: string): Witness {
  return {
    file: `src/protocol/auth-rules/${file}`,
    title: `\${subject}: \${name}`,
    titleIn: 'test/rule-cases.ts',
    cases: `^${subject}: `,
  }
}

/** A guard of one edit. */
export function one(
  attack: string,
  guard: string,
  [file, text, instead = '']: readonly [file: string, text: string, instead?: string],
  witness: Witness,
): Guard {
  return { attack, guard, edits: [out(file, text, instead)], witness }
}
