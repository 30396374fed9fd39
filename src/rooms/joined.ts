/**
 * Who is joined to a room, by a version of its state, counted by server.
 *
 * Member events are not read for it: their memberships are kept as numbers beside the auth graph. The
 * counts of the last version asked for are kept, and moved to the next one by what differs.
 *
 * @module
 */

import { Slices } from '#io/slices.ts'
import { serverNameOf } from '#protocol/identifiers/common-format.ts'
import type { ServerName, UserId } from '#protocol/identifiers/ids.ts'
import { parseUserId } from '#protocol/identifiers/user-id.ts'
import {
  compareStates,
  differenceOf,
  eventAt,
  type StatePairs,
} from '#protocol/state-resolution/state-pairs.ts'
import { absentCodes, joinCode, presentCodes } from './membership-codes.ts'
import type { Room } from './room.ts'
import type { MemberChanges } from './rooms.ts'

interface Counted {
  readonly pairs: StatePairs
  readonly byServer: Map<ServerName, number>
}

const counted = new WeakMap<Room, Counted>()
/** A state with so many entries more or less than the last one is counted anew, in slices. */
const movedMax = 1000

/** The servers with somebody joined. */
export async function joinedServers(
  room: Room,
  version: number,
): Promise<ReadonlyMap<ServerName, number>> {
  const pairs = await room.states.pairs(version)
  const before = counted.get(room)?.pairs
  if (before === undefined || Math.abs(pairs.length - before.length) > 2 * movedMax) {
    counted.set(room, await countAll(room, pairs))
  }
  const last = counted.get(room) ?? { pairs: new Int32Array(), byServer: new Map() }
  const count = (event: number, key: number, by: number) => {
    const server = joinedServerAt(room, event, key)
    if (server === undefined) return
    const members = (last.byServer.get(server) ?? 0) + by
    if (members > 0) last.byServer.set(server, members)
    else last.byServer.delete(server)
  }
  compareStates(
    last.pairs,
    pairs,
    (event, key) => count(event, key, 1),
    (event, key) => count(event, key, -1),
  )
  counted.set(room, { pairs, byServer: last.byServer })
  return last.byServer
}

/**
 * The servers with somebody joined, and those of which a resident says so as long as we do not know all
 * members.
 */
export async function serversIn(
  room: Room,
  version: number,
  partial = room.partial,
): Promise<ServerName[]> {
  const joined = await joinedServers(room, version)
  return [...new Set([...joined.keys(), ...(partial?.servers ?? [])])]
}

/** In slices: it is done for a room that comes into memory, or that becomes known whole. */
async function countAll(room: Room, pairs: StatePairs): Promise<Counted> {
  const slices = new Slices(room.clock)
  const byServer = new Map<ServerName, number>()
  for (let at = 0; at < pairs.length; at += 2) {
    if (slices.isOver) await slices.next()
    const server = joinedServerAt(room, pairs[at + 1] as number, pairs[at] as number)
    if (server !== undefined) byServer.set(server, (byServer.get(server) ?? 0) + 1)
  }
  return { pairs, byServer }
}

interface Locals {
  readonly pairs: StatePairs
  readonly users: Set<UserId>
}

const locals = new WeakMap<Room, Locals>()

/** The users of this server who are joined. The set is changed by the next call. */
export async function localMembersOf(
  room: Room,
  version: number,
  serverName: ServerName,
): Promise<ReadonlySet<UserId>> {
  const pairs = await room.states.pairs(version)
  const { pairs: before, users } = locals.get(room) ?? (await allLocals(room, pairs, serverName))
  const gone: UserId[] = []
  const come: UserId[] = []
  const collect = (list: UserId[]) => (event: number, key: number) => {
    const userId = localAt(room, event, key, serverName)
    if (userId !== undefined) list.push(userId)
  }
  compareStates(before, pairs, collect(come), collect(gone))
  // Who is joined by another event than before is in both.
  for (const userId of gone) users.delete(userId)
  for (const userId of come) users.add(userId)
  locals.set(room, { pairs, users })
  return users
}

/** In slices: it is done once for a room in memory. */
async function allLocals(room: Room, pairs: StatePairs, serverName: ServerName): Promise<Locals> {
  const slices = new Slices(room.clock)
  const users = new Set<UserId>()
  for (let at = 0; at < pairs.length; at += 2) {
    if (slices.isOver) await slices.next()
    const userId = localAt(room, pairs[at + 1] as number, pairs[at] as number, serverName)
    if (userId !== undefined) users.add(userId)
  }
  return { pairs, users }
}

function localAt(
  room: Room,
  event: number,
  key: number,
  serverName: ServerName,
): UserId | undefined {
  if (room.membershipCode(event) !== joinCode) return undefined
  if (!room.stateKey(key).stateKey.endsWith(serverName)) return undefined
  const userId = memberAt(room, key)
  return userId !== undefined && serverNameOf(userId) === serverName ? userId : undefined
}

function joinedServerAt(room: Room, event: number, key: number): ServerName | undefined {
  if (room.membershipCode(event) !== joinCode) return undefined
  const userId = memberAt(room, key)
  return userId && serverNameOf(userId)
}

/** The user whose membership stands at a state key, if it is one of a user. */
function memberAt(room: Room, key: number): UserId | undefined {
  const { type, stateKey } = room.stateKey(key)
  return type === 'm.room.member' ? parseUserId(stateKey) : undefined
}

/** The users with a membership in a version of the state. */
export async function membersWith(room: Room, version: number, code: number): Promise<UserId[]> {
  return membersIn(room, await room.states.pairs(version), code)
}

/** The users with a membership in a state. */
export function membersIn(room: Room, pairs: StatePairs, code: number): UserId[] {
  const members: UserId[] = []
  for (let at = 0; at < pairs.length; at += 2) {
    if (room.membershipCode(pairs[at + 1] as number) !== code) continue
    const userId = memberAt(room, pairs[at] as number)
    if (userId !== undefined) members.push(userId)
  }
  return members
}

/**
 * The first of those who are joined or invited, in the order in which their membership came here. When
 * there are none, those who are banned or have left.
 */
export function firstMembersIn(
  room: Room,
  pairs: StatePairs,
  { max, self }: { readonly max: number; readonly self: UserId },
): UserId[] {
  const firstOf = (codes: readonly number[]) => {
    const first: { readonly userId: UserId; readonly event: number }[] = []
    for (let at = 0; at < pairs.length; at += 2) {
      const event = pairs[at + 1] as number
      if (!codes.includes(room.membershipCode(event))) continue
      if (first.length === max && event >= (first.at(-1)?.event ?? 0)) continue
      const userId = memberAt(room, pairs[at] as number)
      if (userId === undefined || userId === self) continue
      first.push({ userId, event })
      first.sort((a, b) => a.event - b.event)
      if (first.length > max) first.pop()
    }
    return first.map(({ userId }) => userId)
  }
  const present = firstOf(presentCodes)
  return present.length > 0 ? present : firstOf(absentCodes)
}

/** Who is joined in one version of the state and not in another. */
export async function memberDifference(
  room: Room,
  { from, to }: { readonly from: number; readonly to: number },
): Promise<MemberChanges> {
  const [before, after] = [await room.states.pairs(from), await room.states.pairs(to)]
  const joined = new Set<UserId>()
  const gone = new Set<UserId>()
  const collect = (users: Set<UserId>, event: number | undefined, key: number) => {
    if (event === undefined || room.membershipCode(event) !== joinCode) return
    const userId = memberAt(room, key)
    if (userId !== undefined) users.add(userId)
  }
  const changed = differenceOf(before, after)
  const slices = new Slices(room.clock)
  for (let at = 0; at < changed.length; at += 2) {
    if (slices.isOver) await slices.next()
    const key = changed[at] as number
    collect(joined, eventAt(after, key), key)
    collect(gone, eventAt(before, key), key)
  }
  // Who is joined in both has another event for it, with another name perhaps.
  const changes = { joined: [...joined.difference(gone)], gone: [...gone.difference(joined)] }
  if (changes.joined.length + changes.gone.length === 0) return noMemberChanges
  return {
    ...changes,
    newServers: await serversWithout(room, from, changes.joined),
    goneServers: await serversWithout(room, to, changes.gone),
  }
}

export const noMemberChanges: MemberChanges = {
  joined: [],
  gone: [],
  newServers: [],
  goneServers: [],
}

/** The servers of these users that have nobody joined in a version of the state. */
async function serversWithout(
  room: Room,
  version: number,
  users: readonly UserId[],
): Promise<ServerName[]> {
  const present = await joinedServers(room, version)
  return [...new Set(users.map(serverNameOf))].filter((server) => !present.has(server))
}
