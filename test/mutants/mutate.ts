/**
 * Small changes to source text, each of which some test ought to notice: an operator that is another, a
 * condition that always or never holds, a number that is one more, a call that does the opposite.
 *
 * @module
 */

import { stripTypeScriptTypes } from 'node:module'

export interface Mutant {
  /** From 1 on. */
  readonly line: number
  /** What was there and what is there instead. */
  readonly was: string
  readonly is: string
  /** The lines that have it, as one line: in the source, and changed. */
  readonly lineWas: string
  readonly lineIs: string
  /** The whole file with the change. */
  readonly text: string
}

interface Change {
  readonly pattern: RegExp
  readonly instead: (found: string) => string
}

const opposites: Readonly<Record<string, string>> = {
  '===': '!==',
  '!==': '===',
  '<': '<=',
  '<=': '<',
  '>': '>=',
  '>=': '>',
  '&&': '||',
  '||': '&&',
  '+': '-',
  '-': '+',
  true: 'false',
  false: 'true',
  some: 'every',
  every: 'some',
}

const opposite = (found: string) => opposites[found] ?? found

/** Each pattern finds in code alone: texts and comments are blank when they are looked for. */
const changes: readonly Change[] = [
  { pattern: /(?<= )(?:===|!==|<=|>=|<|>|&&|\|\||\+|-)(?= )/g, instead: opposite },
  { pattern: /\b(?:true|false)\b(?!:)/g, instead: opposite },
  { pattern: /(?<=\.)(?:some|every)(?=\()/g, instead: opposite },
  { pattern: /(?<=[ ([{])!(?=[\w(])/g, instead: () => '' },
  { pattern: /(?<![\w.$'"`])\d+(?![\w.:'"`])/g, instead: (found) => String(Number(found) + 1) },
]

/** All mutants of a file of TypeScript, in the order of its text. */
export function mutantsOf(source: string): Mutant[] {
  const code = codeOnly(source)
  const found = changes.flatMap(({ pattern, instead }) =>
    [...code.matchAll(pattern)].map(({ 0: was, index }) => ({ index, was, is: instead(was) })),
  )
  return [...found, ...conditionsOf(code)]
    .sort((a, b) => a.index - b.index)
    .map(({ index, was, is }) => ({
      line: source.slice(0, index).split('\n').length,
      was,
      is,
      ...linesOf(source, { index, was, is }),
      text: source.slice(0, index) + is + source.slice(index + was.length),
    }))
    .filter(({ text }) => loads(text))
}

function linesOf(source: string, { index, was, is }: { index: number; was: string; is: string }) {
  const after = index + was.length
  const start = source.lastIndexOf('\n', index - 1) + 1
  const end = source.indexOf('\n', after)
  const oneLine = (text: string) => text.replaceAll(/\s+/g, ' ').trim()
  const rest = source.slice(after, end === -1 ? source.length : end)
  return {
    lineWas: oneLine(source.slice(start, after) + rest),
    lineIs: oneLine(source.slice(start, index) + is + rest),
  }
}

/** The conditions of `if`: as if they always held, and as if they never did. */
function* conditionsOf(code: string): Generator<{ index: number; was: string; is: string }> {
  for (const { 0: head, index: start } of code.matchAll(/\bif \(/g)) {
    const index = start + head.length
    let depth = 1
    let end = index
    for (; depth > 0 && end < code.length; end += 1) {
      if (code[end] === '(') depth += 1
      if (code[end] === ')') depth -= 1
    }
    const was = code.slice(index, end - 1)
    yield { index, was, is: 'true' }
    yield { index, was, is: 'false' }
  }
}

function loads(text: string): boolean {
  try {
    stripTypeScriptTypes(text)
    return true
  } catch {
    return false
  }
}

/** The code at its places; types, comments, imports and what is in quotes are blank. */
export function codeOnly(source: string): string {
  const blank = (text: string) => text.replaceAll(/[^\n]/g, ' ')
  const quiet =
    /\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`/g
  return stripTypeScriptTypes(source)
    .replaceAll(/(?<=[=(,:] ?)\/(?![*/ ])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/[a-z]*/g, blank)
    .replaceAll(quiet, blank)
    .replaceAll(/^import [\s\S]*?(?=\n\n|\nconst|\nexport|\nfunction)/gm, blank)
}
