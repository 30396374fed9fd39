/**
 * A process that answers questions, one line of JSON each way.
 *
 * @module
 */

import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

/** How many questions are on their way at a time: their answers must fit into the pipe. */
const questionsAtATime = 50

export class LineProcess<Question, Answer> {
  readonly #process: ChildProcessWithoutNullStreams
  readonly #lines: AsyncIterator<string>
  #errors = ''

  constructor(command: string, script: URL) {
    this.#process = spawn(command, [script.pathname])
    this.#process.stderr.on('data', (bytes) => {
      this.#errors = (this.#errors + bytes).slice(-4000)
    })
    this.#lines = createInterface({ input: this.#process.stdout })[Symbol.asyncIterator]()
  }

  /** The answers in the order of the questions. */
  async ask(questions: readonly Question[]): Promise<Answer[]> {
    const answers: Answer[] = []
    for (let start = 0; start < questions.length; start += questionsAtATime) {
      const some = questions.slice(start, start + questionsAtATime)
      this.#process.stdin.write(some.map((question) => `${JSON.stringify(question)}\n`).join(''))
      for (const _ of some) {
        const line = await this.#lines.next()
        if (line.done) throw new Error(`the process ended: ${this.#errors}`)
        answers.push(JSON.parse(line.value))
      }
    }
    return answers
  }

  close(): void {
    this.#process.stdin.end()
  }
}
