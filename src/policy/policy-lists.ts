/**
 * Policy lists: rooms in which moderators write down which users and servers are not welcome, for
 * others to follow. Those of the configuration hold in all rooms of which we are the policy server.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#moderation-policy-lists
 *
 * @module
 */

import type { Clock } from '#io/clock.ts'
import { matchesGlob } from '#protocol/glob.ts'
import { serverNameOf } from '#protocol/identifiers/common-format.ts'
import type { RoomId, UserId } from '#protocol/identifiers/ids.ts'
import type { Rooms } from '#rooms/rooms.ts'

export interface PolicyLists {
  /** Whether a list says that the user, or their server, is to be kept out. */
  isBanned(userId: UserId): Promise<boolean>
}

export interface PolicyListNeeds {
  readonly clock: Pick<Clock, 'monotonicMs'>
  readonly rooms: Pick<Rooms, 'currentState'>
  readonly roomIds: readonly RoomId[]
}

/** For how long lists that were read are used. */
const keptMs = 30_000
/** How many entries of all lists are used, and how many of them with wildcards. */
const entitiesMax = 100_000
const patternsMax = 5_000

interface Entities {
  readonly exact: Set<string>
  readonly patterns: string[]
}

interface Bans {
  readonly users: Entities
  readonly servers: Entities
  readonly endMs: number
}

export function createPolicyLists(needs: PolicyListNeeds): PolicyLists {
  let bans: Promise<Bans> | undefined
  const current = async () => {
    // What could not be read is read anew.
    const kept = await bans?.catch(() => undefined)
    if (kept !== undefined && needs.clock.monotonicMs() < kept.endMs) return kept
    bans = readLists(needs)
    return await bans
  }
  return {
    isBanned: async (userId) => {
      if (needs.roomIds.length === 0) return false
      const { users, servers } = await current()
      return isAmong(users, userId) || isAmong(servers, serverNameOf(userId))
    },
  }
}

function isAmong({ exact, patterns }: Entities, text: string): boolean {
  return exact.has(text) || patterns.some((pattern) => matchesGlob(pattern, text))
}

async function readLists({ clock, rooms, roomIds }: PolicyListNeeds): Promise<Bans> {
  const users: Entities = { exact: new Set(), patterns: [] }
  const servers: Entities = { exact: new Set(), patterns: [] }
  const byType = new Map([
    ['m.policy.rule.user', users],
    ['m.policy.rule.server', servers],
  ])
  for (const roomId of roomIds) {
    const state = await rooms.currentState(roomId)
    for (const { type, content } of (await state?.events((one) => byType.has(one))) ?? []) {
      const { entity, recommendation } = content
      const entities = byType.get(type)
      // Of the recommendations, only m.ban is defined.
      if (typeof entity !== 'string' || recommendation !== 'm.ban' || !entities) continue
      add(entities, entity)
    }
  }
  return { users, servers, endMs: clock.monotonicMs() + keptMs }
}

function add({ exact, patterns }: Entities, entity: string): void {
  if (!/[*?]/.test(entity)) {
    if (exact.size < entitiesMax) exact.add(entity)
  } else if (patterns.length < patternsMax) patterns.push(entity)
}
