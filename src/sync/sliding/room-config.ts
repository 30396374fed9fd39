/**
 * What a client wants to be told of a room in sliding sync: how many events of the timeline, and which
 * of the state.
 *
 * @module
 */

import type { UserId } from '#protocol/identifiers/ids.ts'

/** How many events of a timeline are given at most. */
const timelineLimitMax = 100

/** As a client sends it. */
export interface WantedOfRoom {
  readonly timeline_limit: number
  /** Pairs of a type and a state key, with `*` for any, `$ME` and `$LAZY`. */
  readonly required_state: readonly (readonly string[])[]
}

/** What several rules want together. */
export class RoomConfig {
  readonly timelineLimit: number
  /** By type, its state keys; `*` is any type, and any key. */
  readonly #keys: ReadonlyMap<string, ReadonlySet<string>>
  /** Whether members are told of as events of the timeline need them. */
  readonly isLazy: boolean

  private constructor(timelineLimit: number, keys: ReadonlyMap<string, ReadonlySet<string>>) {
    this.timelineLimit = timelineLimit
    this.#keys = keys
    this.isLazy = keys.get('m.room.member')?.has('$LAZY') ?? false
  }

  static of(wanted: readonly WantedOfRoom[]): RoomConfig {
    const keys = new Map<string, Set<string>>()
    let limit = 0
    for (const { timeline_limit, required_state } of wanted) {
      limit = Math.max(limit, Math.min(timeline_limit, timelineLimitMax))
      for (const [type = '', key = ''] of required_state) {
        keys.getOrInsertComputed(type, () => new Set()).add(key)
      }
    }
    return new RoomConfig(limit, keys)
  }

  /** Reads what `text` has made. */
  static parse(text: string): RoomConfig {
    const { limit, state } = JSON.parse(text) as { limit: number; state: [string, string[]][] }
    return new RoomConfig(limit, new Map(state.map(([type, keys]) => [type, new Set(keys)])))
  }

  /** The same text for the same wishes. */
  get text(): string {
    const state = [...this.#keys].map(([type, keys]): [string, string[]] => [
      type,
      [...keys].sort(),
    ])
    state.sort(([a], [b]) => (a < b ? -1 : 1))
    return JSON.stringify({ limit: this.timelineLimit, state })
  }

  /**
   * Whether an entry of the state is wanted, whatever happens in the timeline. Where all types are
   * wanted, one that is named itself is wanted only as it is named.
   */
  wants(type: string, stateKey: string, self: UserId): boolean {
    const ofType = this.#keys.get(type)
    const ofAny = this.#keys.get('*')
    if (ofType !== undefined && (isWanted(ofType, stateKey, self) || ofAny?.has('*'))) {
      return isWanted(ofType, stateKey, self)
    }
    return ofAny !== undefined && isWanted(ofAny, stateKey, self)
  }
}

function isWanted(keys: ReadonlySet<string>, stateKey: string, self: UserId): boolean {
  return keys.has('*') || keys.has(stateKey) || (stateKey === self && keys.has('$ME'))
}
