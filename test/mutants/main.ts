/**
 * Changes the heart of the protocol in small ways, one after the other, and demands that tests notice:
 * `npm run mutants`, `npm run mutants -- --sample 100`, `npm run mutants -- redaction`.
 *
 * A mutant that no test notices is told with its line. Not each of them is a fault: some make no
 * difference that anybody could see. At most 15 in 100 may be left.
 *
 * @module
 */

import { spawn } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { SourceTree } from '../guards/tree.ts'
import { type Mutant, mutantsOf } from './mutate.ts'

/** Files, and the tests that ought to notice: the quick ones first, the others if those do not. */
interface Subject {
  readonly files: string
  readonly tests: readonly string[][]
}

const rules = 'src/protocol/auth-rules'
const resolution = 'src/protocol/state-resolution'
const protocol = 'src/protocol'

const subjects: readonly Subject[] = [
  {
    files: `${rules}/*.ts`,
    tests: [
      ['auth-events', 'check', 'create', 'member', 'power-level', 'power-levels'].map(inRules),
      [inRules('exhaustive'), 'test/third-party-invites.test.ts'],
    ],
  },
  {
    files: `${resolution}/*.ts`,
    tests: [
      [`${resolution}/scenarios.test.ts`, `${resolution}/v1.test.ts`],
      [`${resolution}/properties.test.ts`, `${resolution}/auth-graph.test.ts`],
      ['src/rooms/state-versions.test.ts'],
    ],
  },
  { files: `${protocol}/redaction.ts`, tests: [[`${protocol}/redaction.test.ts`]] },
  {
    files: `${protocol}/{signatures,hashes,signature-needs,required-signatures,check-pdu}.ts`,
    tests: [
      ['signatures', 'signature-needs', 'check-pdu', 'event-format'].map(
        (name) => `${protocol}/${name}.test.ts`,
      ),
      ['test/ingress-matrix.test.ts'],
    ],
  },
]

function inRules(name: string): string {
  return `${rules}/${name}.test.ts`
}

/** In a hundred mutants, so many must be noticed. */
const noticedShareMin = 0.85
/** A mutant that never ends is noticed by that. */
const testsMs = 300_000

interface Task {
  readonly file: string
  readonly mutant: Mutant
  readonly tests: readonly string[][]
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { sample: { type: 'string' } },
})

function tasks(): Task[] {
  const all = subjects.flatMap(({ files, tests }) =>
    globSync(files)
      .filter((file) => !file.endsWith('.test.ts'))
      .sort()
      .flatMap((file) =>
        mutantsOf(readFileSync(file, 'utf8')).map((mutant) => ({ file, mutant, tests })),
      ),
  )
  const wanted = all.filter(
    ({ file }) => positionals.length === 0 || positionals.some((part) => file.includes(part)),
  )
  const sample = Number(values.sample ?? wanted.length)
  // Evenly over all of them, so that a sample is of everything.
  return Array.from(
    { length: Math.min(sample, wanted.length) },
    (_, at) => wanted[Math.floor((at * wanted.length) / Math.min(sample, wanted.length))],
  ).flatMap((task) => task ?? [])
}

async function passes(tree: SourceTree, tests: readonly string[]): Promise<boolean> {
  const child = spawn(
    process.execPath,
    ['--test', '--test-isolation=none', '--test-reporter=dot', '--test-force-exit', ...tests],
    { cwd: tree.root, stdio: 'ignore', timeout: testsMs, killSignal: 'SIGKILL' },
  )
  return await new Promise((done, failed) => {
    child.once('error', failed)
    child.once('close', (code) => done(code === 0))
  })
}

async function isNoticed(tree: SourceTree, { file, mutant, tests }: Task): Promise<boolean> {
  return await tree.replaced(file, mutant.text, async () => {
    for (const some of tests) if (!(await passes(tree, some))) return true
    return false
  })
}

async function main(): Promise<void> {
  const tree = new SourceTree('.')
  const chosen = tasks()
  let noticed = 0
  try {
    for (const tests of new Set(chosen.flatMap((task) => task.tests))) {
      if (!(await passes(tree, tests))) throw new Error(`fails without any mutant: ${tests}`)
    }
    for (const [at, task] of chosen.entries()) {
      if (await isNoticed(tree, task)) noticed += 1
      else {
        const { line, was, is } = task.mutant
        console.log(`${task.file}:${line}: nobody notices '${is}' for '${was}'`)
      }
      if ((at + 1) % 50 === 0) console.log(`${noticed} of ${at + 1} noticed`)
    }
  } finally {
    tree.remove()
  }
  const share = noticed / chosen.length
  console.log(`${noticed} of ${chosen.length} mutants noticed, ${(100 * share).toFixed(1)} %`)
  process.exitCode = share >= noticedShareMin ? 0 : 1
}

await main()
