/**
 * A process that runs tests for one mutant after the other. For each of them all modules are made anew,
 * from text that is read and stripped of its types once: so a mutant costs little more than its tests.
 *
 * @module
 */

import { readFileSync } from 'node:fs'
import { registerHooks, stripTypeScriptTypes } from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { allPass } from './collected-tests.ts'

/** What the process is asked: which of these files of tests notices that a source has another text. */
export interface Question {
  readonly file: string
  readonly text: string
  readonly tests: readonly string[]
}

export interface Answer {
  readonly noticer: string | undefined
}

const root = pathToFileURL(`${process.cwd()}/`).href
const collectedUrl = new URL('./collected-tests.ts', import.meta.url).href
const sources = new Map<string, string>()
let asked: Question = { file: '', text: '', tests: [] }
let generation = 0

function isOurs(url: string): boolean {
  return url.startsWith(root) && !url.includes('/node_modules/')
}

function sourceOf(url: string): string {
  const path = fileURLToPath(url)
  if (url === new URL(asked.file, root).href) return stripTypeScriptTypes(asked.text)
  return sources.getOrInsertComputed(path, () => stripTypeScriptTypes(readFileSync(path, 'utf8')))
}

registerHooks({
  resolve(specifier, context, next) {
    if (specifier === 'node:test') return { url: collectedUrl, shortCircuit: true }
    const found = next(specifier, context)
    if (!isOurs(found.url)) return found
    return { ...found, url: `${found.url.replace(/\?.*/, '')}?${generation}` }
  },
  load(url, context, next) {
    const [plain = url, query] = url.split('?')
    if (query === undefined || !plain.endsWith('.ts')) return next(url, context)
    return { format: 'module', source: sourceOf(plain), shortCircuit: true }
  },
})

async function passes(file: string): Promise<boolean> {
  try {
    await import(new URL(file, root).href)
  } catch {
    return false
  }
  return await allPass()
}

async function answer(question: Question): Promise<Answer> {
  asked = question
  generation += 1
  for (const noticer of question.tests) if (!(await passes(noticer))) return { noticer }
  return { noticer: undefined }
}

process.on('message', (question: Question) => {
  void answer(question).then((given) => process.send?.(given))
})
process.on('disconnect', () => process.exit(0))
