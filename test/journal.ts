/**
 * What came of each of many tasks, written down as soon as it is known, so that the next run with the same
 * file goes on where this one ends. A line of JSON for each.
 *
 * @module
 */

import { appendFileSync, existsSync, readFileSync } from 'node:fs'

export class Journal<Entry extends object> {
  readonly #path: string | undefined
  readonly #keyOf: (entry: Entry) => string
  readonly #entries: Map<string, Entry>

  /** `path`: a file, which need not be there; without one all is kept in memory alone. */
  constructor(path: string | undefined, keyOf: (entry: Entry) => string) {
    this.#path = path
    this.#keyOf = keyOf
    const lines = path !== undefined && existsSync(path) ? readFileSync(path, 'utf8') : ''
    const entries = lines.split('\n').flatMap((line): Entry[] => (line ? [JSON.parse(line)] : []))
    this.#entries = new Map(entries.map((entry) => [keyOf(entry), entry]))
  }

  get(key: string): Entry | undefined {
    return this.#entries.get(key)
  }

  /** `more` is written down for who reads the file. */
  add(entry: Entry, more: object = {}): void {
    this.#entries.set(this.#keyOf(entry), entry)
    if (this.#path === undefined) return
    appendFileSync(this.#path, `${JSON.stringify({ ...entry, ...more })}\n`)
  }
}
