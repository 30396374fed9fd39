/**
 * Tries whether the tests notice a mutant, for as little time as that takes: in one process for each
 * file of tests, which ends at the first failure, with those first that have noticed the most.
 *
 * @module
 */

import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SourceTree } from '../guards/tree.ts'
import type { Task, Tests } from './subjects.ts'

/** What never ends is noticed by that: after this, and many times what the tests take otherwise. */
const endlessMs = 15_000
const endlessTimes = 4
/** How long tests may take while nothing is changed. */
const intactMs = 300_000

export class Trials {
  readonly #tree = new SourceTree('.')
  /** Compiled code of all that is not changed. */
  readonly #cache = mkdtempSync(join(tmpdir(), 'hansa-mutants-'))
  readonly #takesMs = new Map<Tests, number>()
  /** Of each source, the tests that have noticed its mutants: how many. */
  readonly #noticed = new Map<string, Map<Tests, number>>()

  /** Makes sure that the tests pass while nothing is changed. */
  async begin(tests: ReadonlySet<Tests>): Promise<void> {
    for (const some of tests) {
      const began = performance.now()
      if (!(await this.#passes(some, intactMs))) {
        throw new Error(`${some.file} fails without any mutant`)
      }
      this.#takesMs.set(some, performance.now() - began)
    }
  }

  /** The file of tests that notices, if one does. */
  async noticer({ file, mutant, tests }: Task): Promise<Tests | undefined> {
    const counts = this.#noticed.getOrInsertComputed(file, () => new Map())
    const countOf = (some: Tests) => counts.get(some) ?? 0
    return await this.#tree.replaced(file, mutant.text, async () => {
      for (const some of tests.toSorted((a, b) => countOf(b) - countOf(a))) {
        const takesMs = this.#takesMs.get(some) ?? 0
        if (await this.#passes(some, endlessMs + endlessTimes * takesMs)) continue
        counts.set(some, countOf(some) + 1)
        return some
      }
      return undefined
    })
  }

  async #passes({ file, names = '.' }: Tests, limitMs: number): Promise<boolean> {
    const reporter = join(this.#tree.root, 'test/mutants/first-failure.ts')
    const child = spawn(
      process.execPath,
      [
        '--no-warnings',
        '--test',
        '--test-isolation=none',
        '--test-force-exit',
        `--test-reporter=${reporter}`,
        '--test-reporter-destination=stdout',
        `--test-name-pattern=${names}`,
        file,
      ],
      {
        cwd: this.#tree.root,
        stdio: 'ignore',
        env: { ...process.env, NODE_COMPILE_CACHE: this.#cache },
        timeout: Math.ceil(limitMs),
        killSignal: 'SIGKILL',
      },
    )
    return await new Promise((done, failed) => {
      child.once('error', failed)
      child.once('close', (code) => done(code === 0))
    })
  }

  end(): void {
    this.#tree.remove()
    rmSync(this.#cache, { recursive: true })
  }
}
