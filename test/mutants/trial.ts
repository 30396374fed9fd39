/**
 * Tries whether the tests notice a mutant, for as little time as that takes: those first that have
 * noticed the most, and each until the first failure.
 *
 * @module
 */

import { type ChildProcess, fork, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { SourceTree } from '../guards/tree.ts'
import type { Answer, Question } from './runner.ts'
import type { Task, Tests } from './subjects.ts'

/** What never ends is noticed by that: after this, and many times what the tests take otherwise. */
const endlessMs = 10_000
const endlessTimes = 4
/** How long tests may take while nothing is changed. */
const intactMs = 300_000
/** After so many mutants a process is full of modules. */
const perProcessMax = 60

const neverEnds = 'it never ends'

export class Trials {
  readonly #tree = new SourceTree('.')
  readonly #takesMs = new Map<string, number>()
  /** Of each source, the tests that have noticed its mutants: how many. */
  readonly #noticed = new Map<string, Map<string, number>>()
  #child: ChildProcess | undefined
  #asked = 0

  /** Makes sure that the tests pass while nothing is changed. */
  async begin({ file, tests }: Pick<Task, 'file' | 'tests'>): Promise<void> {
    const text = readFileSync(join(this.#tree.root, file), 'utf8')
    for (const some of tests.filter((one) => !this.#takesMs.has(one.file))) {
      const began = performance.now()
      const noticer = await this.#noticerOf({ file, text, tests: [some] }, intactMs)
      if (noticer !== undefined) throw new Error(`${some.file} fails without any mutant`)
      this.#takesMs.set(some.file, performance.now() - began)
    }
  }

  /** The file of tests that notices, if one does. */
  async noticer({ file, mutant, tests }: Task): Promise<string | undefined> {
    const counts = this.#noticed.getOrInsertComputed(file, () => new Map())
    const countOf = (test: Tests) => counts.get(test.file) ?? 0
    const ordered = tests.toSorted((a, b) => countOf(b) - countOf(a))
    const takesMs = tests.reduce((sum, one) => sum + (this.#takesMs.get(one.file) ?? 0), 0)
    const noticer = await this.#noticerOf(
      { file, text: mutant.text, tests: ordered },
      endlessMs + endlessTimes * takesMs,
    )
    if (noticer !== undefined) counts.set(noticer, (counts.get(noticer) ?? 0) + 1)
    return noticer
  }

  async #noticerOf(
    { file, text, tests }: { file: string; text: string; tests: readonly Tests[] },
    limitMs: number,
  ): Promise<string | undefined> {
    const inPlace = tests.filter(({ names }) => names === undefined).map((one) => one.file)
    if (inPlace.length > 0) {
      const noticer = await this.#ask({ file, text, tests: inPlace }, limitMs)
      if (noticer !== undefined) return noticer
    }
    return await this.#tree.replaced(file, text, async () => {
      for (const one of tests) {
        if (one.names !== undefined && !(await this.#passes(one, limitMs))) return one.file
      }
      return undefined
    })
  }

  /** Asks the process that runs tests in one place. */
  async #ask(question: Question, limitMs: number): Promise<string | undefined> {
    if (this.#asked >= perProcessMax) this.#endChild()
    this.#asked += 1
    const child = this.#childNow()
    const { promise, resolve } = Promise.withResolvers<string | undefined>()
    const timer = setTimeout(resolve, limitMs, neverEnds)
    const onAnswer = ({ noticer }: Answer) => resolve(noticer)
    const onExit = () => resolve(neverEnds)
    child.once('message', onAnswer).once('exit', onExit)
    child.send(question)
    const noticer = await promise
    clearTimeout(timer)
    child.off('message', onAnswer).off('exit', onExit)
    if (noticer === neverEnds) this.#endChild()
    return noticer
  }

  #childNow(): ChildProcess {
    this.#child ??= fork(join(this.#tree.root, 'test/mutants/runner.ts'), {
      cwd: this.#tree.root,
      execArgv: ['--no-warnings'],
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    })
    return this.#child
  }

  #endChild(): void {
    this.#child?.kill('SIGKILL')
    this.#child = undefined
    this.#asked = 0
  }

  /** Runs tests that need a process of their own. */
  async #passes({ file, names = '.' }: Tests, limitMs: number): Promise<boolean> {
    const reporter = join(this.#tree.root, 'test/mutants/first-failure.ts')
    const child = spawn(
      process.execPath,
      [
        ...['--no-warnings', '--test', '--test-isolation=none', '--test-force-exit'],
        ...[`--test-reporter=${reporter}`, '--test-reporter-destination=stdout'],
        `--test-name-pattern=${names}`,
        file,
      ],
      {
        cwd: this.#tree.root,
        stdio: 'ignore',
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
    this.#endChild()
    this.#tree.remove()
  }
}
