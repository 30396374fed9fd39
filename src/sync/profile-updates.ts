/**
 * What clients are told of profiles: how those of users have changed whom they share a room with, and
 * whole ones of users in rooms that are new to them. Of users of other servers nothing is told: their
 * servers do not say when a profile changes.
 *
 * https://github.com/matrix-org/matrix-spec-proposals/pull/4262
 * https://github.com/matrix-org/matrix-spec-proposals/pull/4429
 *
 * @module
 */

import type { RoomId, UserId } from '#protocol/identifiers/ids.ts'
import type { Json, JsonObject } from '#protocol/json.ts'
import type { Rooms } from '#rooms/rooms.ts'
import type { Profiles } from '#users/profiles.ts'

export interface ProfileUpdateNeeds {
  readonly rooms: Pick<Rooms, 'joinedRoomsOf' | 'localMembers'>
  readonly profiles: Pick<Profiles, 'changed' | 'ofUsers'>
}

/** What is new of a profile. */
export interface ProfileUpdate {
  readonly updated: { readonly [field: string]: Json }
  readonly removed: readonly string[]
}

/** Of how many users whole profiles are told at once. */
const wholeMax = 2_000

export async function profileUpdates(
  needs: ProfileUpdateNeeds,
  wanted: {
    readonly userId: UserId
    /** Up to where the client knows the changes; `undefined` if it knows none. */
    readonly since: number | undefined
    readonly to: number
    /** The rooms that the user is in. */
    readonly joined: readonly RoomId[]
    /** Those of them of which the client knows nothing yet. */
    readonly fresh: readonly RoomId[]
    /** The fields to tell of; `undefined` for all. */
    readonly fields: ReadonlySet<string> | undefined
  },
): Promise<ReadonlyMap<UserId, ProfileUpdate>> {
  const { userId, since, to, fields } = wanted
  if (fields?.size === 0) return new Map()
  const whole = await membersOf(needs, wanted.fresh)
  if (since === undefined) whole.add(userId)
  const changed =
    since === undefined
      ? new Map<UserId, ReadonlySet<string>>()
      : await needs.profiles.changed({ from: since, to })
  const partly: UserId[] = []
  const joined = new Set(wanted.joined)
  for (const [other, changedFields] of changed) {
    const isWanted = fields === undefined || changedFields.values().some((one) => fields.has(one))
    if (!isWanted || whole.has(other)) continue
    if (other === userId || (await shares(needs, other, joined))) partly.push(other)
  }
  const profiles = await needs.profiles.ofUsers([...whole, ...partly])
  const updates = new Map<UserId, ProfileUpdate>()
  for (const other of [...whole, ...partly]) {
    const profile = profiles.get(other) ?? {}
    const told = whole.has(other) ? Object.keys(profile) : (changed.get(other) ?? [])
    const update = updateOf(profile, told, fields)
    if (update !== undefined) updates.set(other, update)
  }
  return updates
}

async function membersOf(
  { rooms }: ProfileUpdateNeeds,
  roomIds: readonly RoomId[],
): Promise<Set<UserId>> {
  const members = new Set<UserId>()
  for (const roomId of roomIds) {
    for (const userId of await rooms.localMembers(roomId)) {
      members.add(userId)
      if (members.size === wholeMax) return members
    }
  }
  return members
}

async function shares(
  { rooms }: ProfileUpdateNeeds,
  userId: UserId,
  joined: ReadonlySet<RoomId>,
): Promise<boolean> {
  return (await rooms.joinedRoomsOf(userId)).some((roomId) => joined.has(roomId))
}

function updateOf(
  profile: JsonObject,
  told: Iterable<string>,
  fields: ReadonlySet<string> | undefined,
): ProfileUpdate | undefined {
  const updated: [string, Json][] = []
  const removed: string[] = []
  for (const field of told) {
    if (fields !== undefined && !fields.has(field)) continue
    const value = Object.hasOwn(profile, field) ? profile[field] : undefined
    if (value === undefined) removed.push(field)
    else updated.push([field, value])
  }
  if (updated.length + removed.length === 0) return undefined
  return { updated: Object.fromEntries(updated), removed }
}
