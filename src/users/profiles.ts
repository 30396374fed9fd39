/**
 * Profiles: the public fields of our users, and those of other servers' users when asked for.
 *
 * A name or picture is in two places: here, and in the member events of all rooms the user is in.
 * A change is stored here first, then sent to the rooms one by one.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#profiles
 *
 * @module
 */

import type { Log } from '#io/log.ts'
import { serverNameOf } from '#protocol/identifiers/common-format.ts'
import type { RoomId, ServerName, UserId } from '#protocol/identifiers/ids.ts'
import { isJsonObject, type Json, type JsonObject } from '#protocol/json.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Rooms } from '#rooms/rooms.ts'
import { accountOf } from '#storage/accounts.ts'
import { type Database, UnitFailed } from '#storage/database.ts'
import {
  deleteProfileField,
  noteProfileChange,
  type ProfileFieldRow,
  profileChanges,
  profileFieldsOf,
  profileFieldsOfUsers,
  setProfileField,
} from '#storage/profiles.ts'
import type { Streams } from '#storage/streams.ts'
import { putDirectoryUser, shownBy } from '#storage/user-directory.ts'

/** A profile: a field that is not set is absent. */
export type Profile = JsonObject & {
  readonly displayname?: string
  readonly avatar_url?: string
}

/** Asks another server for the profile of one of its users. Throws `FederationError`. */
export interface RemoteProfiles {
  queryProfile(
    destination: ServerName,
    query: { readonly userId: UserId; readonly field?: string },
  ): Promise<JsonObject>
}

export type ProfileListener = (userId: UserId, roomIds: readonly RoomId[], stream: number) => void

export interface Profiles {
  /** The profile of a user of this server; `undefined` if there is no such user. */
  local(userId: UserId): Promise<Profile | undefined>
  /** The profile of any user. Throws 404 `M_NOT_FOUND`, or `FederationError`. */
  get(userId: UserId, field?: string): Promise<Profile>
  /** Sets a field, and tells the rooms. Throws 400 if the value will not do. */
  set(userId: UserId, field: string, value: Json): Promise<void>
  delete(userId: UserId, field: string): Promise<void>
  /** Which fields of our users changed after `from`, up to and including `to`. */
  changed(range: {
    readonly from: number
    readonly to: number
  }): Promise<ReadonlyMap<UserId, ReadonlySet<string>>>
  /** The profiles of some of our users, of those who have any. */
  ofUsers(userIds: readonly UserId[]): Promise<ReadonlyMap<UserId, JsonObject>>
  /** Calls `listener` after each change, with the rooms the user is in and its place in the stream. */
  onChange(listener: ProfileListener): void
}

export interface ProfileNeeds {
  readonly db: Database
  readonly streams: Pick<Streams, 'write'>
  readonly log: Log
  readonly serverName: ServerName
  readonly rooms: Pick<Rooms, 'membershipsOf' | 'currentState' | 'send'>
  readonly remoteProfiles: RemoteProfiles
}

/** The total profile MUST be under 64 KiB. */
const profileBytesMax = 65_536

/** The key name MUST NOT exceed 255 bytes. */
const fieldBytesMax = 255

/** These are in member events, which have to stay small. */
const nameLengthMax = 256
const avatarUrlLengthMax = 1_000

const fieldNames = /^(?:avatar_url|displayname|m\.tz|[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)+)$/

export function createProfiles(needs: ProfileNeeds): Profiles {
  const { db, serverName, remoteProfiles } = needs
  const listeners: ProfileListener[] = []
  const propagations = new Map<UserId, Promise<void>>()
  /** Tells the rooms after whatever is being told already, so that the last change wins. */
  const propagate = (userId: UserId) => {
    const before = propagations.get(userId) ?? Promise.resolve()
    const told = before.catch(() => {}).then(() => tellRooms(needs, userId))
    propagations.set(userId, told)
    return told.finally(() => {
      if (propagations.get(userId) === told) propagations.delete(userId)
    })
  }
  const change = async (userId: UserId, field: string, value: Json | undefined) => {
    const json = value === undefined ? undefined : JSON.stringify(value)
    const profile = await localProfile(db, userId)
    if (profile === undefined) throw notFound()
    const before = field in profile ? JSON.stringify(profile[field]) : undefined
    if (before === json) {
      // Who asks again may not have been answered: rooms that were not told yet are told now.
      if (isBasic(field)) await propagate(userId)
      return
    }
    if (json !== undefined) checkSize(profile, field, json)
    const stream = await needs.streams.write(1, (tx, stream) => {
      noteProfileChange(tx, { userId, field, stream })
      if (json === undefined) deleteProfileField(tx, userId, field)
      else setProfileField(tx, userId, field, json)
      if (isBasic(field))
        putDirectoryUser(tx, userId, shownBy({ ...profile, [field]: value ?? null }))
      return stream
    })
    const memberships = await needs.rooms.membershipsOf(userId)
    const joined = memberships.filter(({ membership }) => membership === 'join')
    const roomIds = joined.map(({ roomId }) => roomId)
    for (const listener of listeners) listener(userId, roomIds, stream)
    if (isBasic(field)) await propagate(userId)
  }
  return {
    local: (userId) => localProfile(db, userId),
    get: async (userId, field) => {
      if (serverNameOf(userId) === serverName) {
        const profile = await localProfile(db, userId)
        if (profile === undefined) throw notFound()
        return profile
      }
      const query = field === undefined ? { userId } : { userId, field }
      return safeProfile(await remoteProfiles.queryProfile(serverNameOf(userId), query))
    },
    set: async (userId, field, value) => {
      checkField(field, value)
      const isEmpty = value === null || value === ''
      await change(userId, field, isBasic(field) && isEmpty ? undefined : value)
    },
    delete: async (userId, field) => {
      checkName(field)
      await change(userId, field, undefined)
    },
    changed: async (range) => {
      const byUser = Map.groupBy(await profileChanges(db, range), ({ user_id }) => user_id)
      return new Map(
        [...byUser].map(([userId, rows]) => [userId, new Set(rows.map(({ field }) => field))]),
      )
    },
    ofUsers: async (userIds) => {
      const rows = userIds.length === 0 ? [] : await profileFieldsOfUsers(db, userIds)
      const byUser = Map.groupBy(rows, ({ user_id }) => user_id)
      return new Map([...byUser].map(([userId, own]) => [userId, profileFrom(own)]))
    },
    onChange: (listener) => {
      listeners.push(listener)
    },
  }
}

/** Whether the field is in member events too. */
function isBasic(field: string): boolean {
  return field === 'displayname' || field === 'avatar_url'
}

async function localProfile(db: Database, userId: UserId): Promise<Profile | undefined> {
  const account = await accountOf(db, userId)
  if (account === undefined || account.deactivated_ts !== null) return undefined
  return profileFrom(await profileFieldsOf(db, userId))
}

function profileFrom(rows: readonly ProfileFieldRow[]): Profile {
  const entries = rows.map((row): [string, Json] => [row.field, JSON.parse(row.value_json) as Json])
  return Object.fromEntries(entries) as Profile
}

/** What another server says, without names and pictures that are no text. */
function safeProfile(profile: JsonObject): Profile {
  const { displayname, avatar_url, ...rest } = profile
  return {
    ...rest,
    ...(typeof displayname === 'string' && { displayname }),
    ...(typeof avatar_url === 'string' && { avatar_url }),
  }
}

function checkField(field: string, value: Json): void {
  if (Buffer.byteLength(field) > fieldBytesMax) {
    throw new MatrixError(
      400,
      'M_KEY_TOO_LARGE',
      `A field's name has at most ${fieldBytesMax} bytes.`,
    )
  }
  checkName(field)
  const limits = new Map([
    ['displayname', nameLengthMax],
    ['avatar_url', avatarUrlLengthMax],
    ['m.tz', nameLengthMax],
  ])
  const limit = limits.get(field)
  if (limit === undefined || (value === null && field !== 'm.tz')) return
  if (typeof value !== 'string') {
    throw new MatrixError(400, 'M_BAD_JSON', `'${field}' must be text.`)
  }
  if (value.length > limit) {
    throw new MatrixError(400, 'M_INVALID_PARAM', `'${field}' has at most ${limit} characters.`)
  }
}

function checkName(field: string): void {
  if (Buffer.byteLength(field) <= fieldBytesMax && fieldNames.test(field)) return
  throw new MatrixError(400, 'M_INVALID_PARAM', 'This is not the name of a profile field.')
}

function checkSize(profile: Profile, field: string, json: string): void {
  const { [field]: _, ...others } = profile
  const size = Buffer.byteLength(JSON.stringify(others)) + Buffer.byteLength(field + json) + 4
  if (size < profileBytesMax) return
  throw new MatrixError(400, 'M_PROFILE_TOO_LARGE', 'The whole profile would be 64 KiB or more.')
}

function notFound(): MatrixError {
  return new MatrixError(404, 'M_NOT_FOUND', 'There is no such profile.')
}

/** Sends the user's name and picture to all rooms they are in. */
/** Throws in the end if the store refused what was to be told to a room. */
async function tellRooms(needs: ProfileNeeds, userId: UserId): Promise<void> {
  const profile = await localProfile(needs.db, userId)
  if (profile === undefined) return
  let refusal: UnitFailed | undefined
  for (const { roomId, membership } of await needs.rooms.membershipsOf(userId)) {
    if (membership !== 'join') continue
    try {
      const state = await needs.rooms.currentState(roomId)
      const member = await state?.event('m.room.member', userId)
      const content = isJsonObject(member?.content)
        ? memberContent(member.content, profile)
        : undefined
      if (content === undefined) continue
      await needs.rooms.send(roomId, {
        sender: userId,
        type: 'm.room.member',
        state_key: userId,
        content,
      })
    } catch (error) {
      // The user has been banned in the meantime, or the room is broken: the others are told still.
      if (error instanceof UnitFailed) refusal ??= error
      needs.log.info('a room was not told of a profile', { roomId, userId, error })
    }
  }
  if (refusal !== undefined) throw refusal
}

/** The member event's content with the profile in it; `undefined` if it is there already. */
function memberContent(content: JsonObject, profile: Profile): JsonObject | undefined {
  const { displayname, avatar_url } = profile
  if (content.displayname === displayname && content.avatar_url === avatar_url) return undefined
  // What belongs to the act of joining or being invited is not repeated.
  const {
    displayname: _1,
    avatar_url: _2,
    reason: _3,
    third_party_invite: _4,
    is_direct: _5,
    join_authorised_via_users_server: _6,
    ...rest
  } = content
  return {
    ...rest,
    ...(displayname !== undefined && { displayname }),
    ...(avatar_url !== undefined && { avatar_url }),
  }
}
