/**
 * Which PDUs of a room are staged and to be tried, by their numbers: who owns the room's part of the table
 * need not ask it for that each time. A number may stay here when its PDU has left, until all of the room's
 * are looked at, but none that is in the table is lacking here. So a limit that is kept here is kept there.
 *
 * @module
 */

export class StagedNumbers {
  /** At most some more than the limit of a room. */
  readonly #nids = new Set<number>()
  readonly #read: () => Promise<readonly number[]>
  #reading: Promise<void> | undefined

  /** `read` gives those that are in the table already. */
  constructor(read: () => Promise<readonly number[]>) {
    this.#read = read
  }

  /** How many there are, once it is `known`; never too few. */
  get size(): number {
    return this.#nids.size
  }

  /** Resolves once what was in the table before is here; it is read once. */
  async known(): Promise<void> {
    this.#reading ??= this.#read().then(
      (nids) => this.add(nids),
      (error: unknown) => {
        this.#reading = undefined
        throw error
      },
    )
    await this.#reading
  }

  /** These are in the table now. */
  add(nids: Iterable<number>): void {
    for (const nid of nids) this.#nids.add(nid)
  }

  /** These have left the table, or are not to be tried any more. */
  left(nids: Iterable<number>): void {
    for (const nid of nids) this.#nids.delete(nid)
  }

  /** Looks at the table: what was here before, and is not `found` there by `read`, has left. */
  async compareWith<T extends { readonly found: ReadonlySet<number> }>(
    read: () => Promise<T>,
  ): Promise<T> {
    const before = [...this.#nids]
    const result = await read()
    this.left(before.filter((nid) => !result.found.has(nid)))
    this.add(result.found)
    return result
  }
}
