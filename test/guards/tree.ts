/**
 * A copy of the source tree, in which guards can be taken out without a change to the checkout.
 *
 * @module
 */

import { spawn } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { tmpdir } from 'node:os'
import { join, relative, resolve } from 'node:path'
import { type Edit, namePattern, type Witness } from './guard.ts'
import type { EndedTest } from './reporter.ts'

/** How long the tests of one witness are given; a loaded machine needs a part of it. */
const witnessMs = 120_000

/** What is not copied: what is large, and what is linked to instead. */
const leftOut: ReadonlySet<string> = new Set(['node_modules', '.git'])

/** What came of a witness. */
export interface Outcome {
  readonly ended: readonly EndedTest[]
  /** Whether the process ended by itself, in time. */
  readonly inTime: boolean
  /** The end of what it said. */
  readonly said: string
}

export class SourceTree {
  readonly #directory = mkdtempSync(join(tmpdir(), 'hansa-guards-'))
  readonly root = join(this.#directory, 'hansa')

  /** A copy of the tree at `source`. */
  constructor(source: string) {
    cpSync(source, this.root, {
      recursive: true,
      filter: (path) => !leftOut.has(relative(source, path)),
    })
    symlinkSync(resolve(source, 'node_modules'), join(this.root, 'node_modules'))
    const shared = resolve(source, '../shared')
    if (existsSync(shared)) symlinkSync(shared, join(this.#directory, 'shared'))
  }

  /** Runs `work` while the edits are made, and takes them back. */
  async edited<Result>(edits: readonly Edit[], work: () => Promise<Result>): Promise<Result> {
    const originals = new Map<string, string>()
    try {
      for (const { file, text, instead } of edits) {
        const path = join(this.root, file)
        const before = readFileSync(path, 'utf8')
        if (!originals.has(path)) originals.set(path, before)
        const [start, end, ...more] = before.split(text)
        if (start === undefined || end === undefined || more.length > 0) {
          throw new Error(`${file} does not have the text exactly once: ${text}`)
        }
        const after = `${start}${instead}${end}`
        stripTypeScriptTypes(after)
        writeFileSync(path, after)
      }
      return await work()
    } finally {
      for (const [path, text] of originals) writeFileSync(path, text)
    }
  }

  /** Runs `work` while a file has another text, and takes that back. */
  async replaced<Result>(file: string, text: string, work: () => Promise<Result>): Promise<Result> {
    const path = join(this.root, file)
    const original = readFileSync(path, 'utf8')
    writeFileSync(path, text)
    try {
      return await work()
    } finally {
      writeFileSync(path, original)
    }
  }

  /** Runs the tests of a witness. */
  async run(witness: Witness, limitMs = witnessMs): Promise<Outcome> {
    const report = join(this.#directory, 'report')
    rmSync(report, { force: true })
    const child = spawn(
      process.execPath,
      [
        `--test-reporter=${join(this.root, 'test/guards/reporter.ts')}`,
        `--test-reporter-destination=${report}`,
        `--test-name-pattern=${namePattern(witness)}`,
        '--test-force-exit',
        witness.file,
      ],
      {
        cwd: this.root,
        stdio: ['ignore', 'pipe', 'pipe'],
        timeout: limitMs,
        killSignal: 'SIGKILL',
      },
    )
    let said = ''
    const listen = (chunk: Buffer) => {
      said = `${said}${chunk}`.slice(-4000)
    }
    child.stdout.on('data', listen)
    child.stderr.on('data', listen)
    const signal = await new Promise<NodeJS.Signals | null>((done, failed) => {
      child.once('error', failed)
      child.once('close', (_code, signal) => done(signal))
    })
    const lines = existsSync(report) ? readFileSync(report, 'utf8').split('\n') : []
    const ended: EndedTest[] = lines.filter((line) => line !== '').map((line) => JSON.parse(line))
    return { ended, inTime: signal === null, said }
  }

  remove(): void {
    rmSync(this.#directory, { recursive: true })
  }
}
