/**
 * Lines of those who wait, one for each key. The first of each line is served in turn, so that nobody who
 * comes with many goes before those who come with few.
 *
 * @module
 */

export class Lines<Key, Item> {
  /** In the order in which they are served. */
  readonly #lines = new Map<Key, Item[]>()

  push(key: Key, item: Item): void {
    this.#lines.getOrInsertComputed(key, () => []).push(item)
  }

  /** The first of the line that waits longest for its turn, which is the last one then. */
  next(): Item | undefined {
    const [first] = this.#lines
    if (first === undefined) return undefined
    const [key, line] = first
    const next = line.shift()
    this.#lines.delete(key)
    if (line.length > 0) this.#lines.set(key, line)
    return next
  }
}
