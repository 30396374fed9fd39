/**
 * Prints findings: as lines for people, as they come, or as one JSON object at the end.
 *
 * @module
 */

import type { Finding } from '#federation/examination/finding.ts'

const marks = { good: '✔', bad: '✘', note: '·' } as const

export class Printer {
  readonly #subject: string
  readonly #asJson: boolean
  readonly #findings: Finding[] = []

  constructor(subject: string, { json }: { readonly json: boolean }) {
    this.#subject = subject
    this.#asJson = json
  }

  print(...findings: readonly Finding[]): void {
    this.#findings.push(...findings)
    if (this.#asJson) return
    for (const { verdict, step, found, mend } of findings) {
      console.log(printable(`${marks[verdict]} ${step.padEnd(15)} ${found}`))
      if (mend !== undefined && verdict !== 'good') console.log(printable(`${gap}→ ${mend}`))
    }
  }

  /** Prints the outcome. Gives the exit code: 1 if something was bad. */
  finish(): 0 | 1 {
    const badCount = this.#findings.filter(({ verdict }) => verdict === 'bad').length
    const ok = badCount === 0
    if (this.#asJson) {
      console.log(printableJson({ subject: this.#subject, ok, findings: this.#findings }))
    } else {
      const outcome = ok ? 'Nothing is wrong with' : `${badCount} wrong with`
      console.log(`${outcome} ${this.#subject}.`)
    }
    return ok ? 0 : 1
  }
}

const gap = ' '.repeat(18)

/** A line in which what other servers wrote steers no terminal, and ends no line. */
export function printable(line: string): string {
  return line.replace(/[\p{Cc}\p{Bidi_Control}]/gu, '\uFFFD')
}

/** A value as JSON over several lines. */
export function printableJson(value: unknown): string {
  return JSON.stringify(value, null, 2).split('\n').map(printable).join('\n')
}
