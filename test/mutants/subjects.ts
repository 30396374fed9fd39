/**
 * What is changed, and the tests that ought to notice.
 *
 * @module
 */

import { globSync, readFileSync } from 'node:fs'
import { type Mutant, mutantsOf } from './mutate.ts'

interface Subject {
  readonly files: string
  /** The quick ones first; the others run only if those do not notice. */
  readonly tests: readonly Tests[]
}

/** A file of tests: all of them, in one process with others; or those with such names, in their own. */
export interface Tests {
  readonly file: string
  readonly names?: string
}

export interface Task {
  readonly file: string
  readonly mutant: Mutant
  readonly tests: readonly Tests[]
}

const protocol = 'src/protocol'
const rules = `${protocol}/auth-rules`
const resolution = `${protocol}/state-resolution`

const subjects: readonly Subject[] = [
  {
    files: `${rules}/*.ts`,
    tests: [
      { file: `${rules}/check.test.ts` },
      { file: `${rules}/member.test.ts` },
      { file: `${rules}/member-join.test.ts` },
      { file: `${rules}/member-invite.test.ts` },
      { file: `${rules}/member-leave.test.ts` },
      { file: `${rules}/member-knock.test.ts` },
      { file: `${rules}/power-levels.test.ts` },
      { file: `${rules}/power-level.test.ts` },
      { file: `${rules}/create.test.ts` },
      { file: `${rules}/auth-events.test.ts` },
      { file: `${rules}/room-levels.test.ts` },
      { file: `${rules}/redaction-power.test.ts` },
      { file: `${rules}/third-party-signature.test.ts` },
      { file: `${rules}/exhaustive.test.ts` },
      { file: 'test/third-party-invites.test.ts', names: '.' },
    ],
  },
  {
    files: `${resolution}/*.ts`,
    tests: [
      { file: `${resolution}/scenarios.test.ts` },
      { file: `${resolution}/resolve-state.test.ts` },
      { file: `${resolution}/v1.test.ts` },
      { file: `${resolution}/v2.test.ts` },
      { file: `${resolution}/state-pairs.test.ts` },
      { file: `${resolution}/auth-graph.test.ts` },
      { file: `${resolution}/long-lists.test.ts` },
      { file: `${resolution}/power-ordering.test.ts` },
      { file: `${resolution}/properties.test.ts` },
      { file: 'src/rooms/state-versions.test.ts', names: '.' },
    ],
  },
  { files: `${protocol}/redaction.ts`, tests: [{ file: `${protocol}/redaction.test.ts` }] },
  {
    files: `${protocol}/{signatures,hashes,signature-needs,required-signatures,check-pdu}.ts`,
    tests: [
      { file: `${protocol}/signatures.test.ts` },
      { file: `${protocol}/signature-needs.test.ts` },
      { file: `${protocol}/check-pdu.test.ts` },
      { file: `${protocol}/required-signatures.test.ts` },
      { file: `${protocol}/event-text.test.ts` },
      { file: `${protocol}/event-format.test.ts` },
      // The versions that differ in what is signed and by whom.
      { file: 'test/ingress-matrix.test.ts', names: '^version (?:2|8|11): ' },
    ],
  },
]

/** All mutants, in the order of their files; without the tests that need a process of their own. */
export function allTasks({ isQuick = false } = {}): Task[] {
  return subjects.flatMap(({ files, tests }) =>
    globSync(files)
      .filter((file) => !file.endsWith('.test.ts'))
      .sort()
      .flatMap((file) =>
        mutantsOf(readFileSync(file, 'utf8')).map((mutant) => ({
          file,
          mutant,
          tests: isQuick ? tests.filter(({ names }) => names === undefined) : tests,
        })),
      ),
  )
}
