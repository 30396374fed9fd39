/**
 * What a room looks like from outside: to who finds it in a directory, in a space or by its address.
 *
 * State events of others are read leniently: what is not of the type it should be is left out.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#room-summaries
 *
 * @module
 */

import { readHistoryVisibility } from '#protocol/history-visibility.ts'
import type { RoomAlias, RoomId } from '#protocol/identifiers/ids.ts'
import { parseMxcUri } from '#protocol/identifiers/mxc-uri.ts'
import { parseRoomAlias } from '#protocol/identifiers/room-alias.ts'
import { isJsonObject, type Json, type JsonObject } from '#protocol/json.ts'
import type { RoomVersion } from '#protocol/room-version.ts'
import { allowedRooms } from '#rooms/restricted-join.ts'
import type { StateView } from '#rooms/rooms.ts'

/** A room as a list of published rooms shows it. */
export interface PublicRoom {
  readonly room_id: RoomId
  readonly num_joined_members: number
  readonly world_readable: boolean
  readonly guest_can_join: boolean
  readonly canonical_alias?: RoomAlias
  readonly name?: string
  readonly topic?: string
  readonly avatar_url?: string
  readonly join_rule?: string
  readonly room_type?: string
}

/** The same, with what helps to join it. */
export interface RoomSummary extends PublicRoom {
  /** If the room is restricted, the rooms which are specified by the join rules. */
  readonly allowed_room_ids?: readonly RoomId[]
  /** The encryption algorithm to be used to encrypt messages sent in the room. */
  readonly encryption?: string
  readonly room_version?: string
}

export async function roomSummaryOf(
  room: { readonly roomId: RoomId; readonly joinedMembers: number; readonly version: RoomVersion },
  state: StateView,
): Promise<RoomSummary> {
  const publicRoom = await publicRoomOf(room, state)
  const joinRules = (await state.event('m.room.join_rules', ''))?.content
  const encryption = (await state.event('m.room.encryption', ''))?.content
  const algorithm = encryption && stringAt(encryption, 'algorithm')
  return {
    ...publicRoom,
    ...(publicRoom.join_rule?.endsWith('restricted') && {
      allowed_room_ids: allowedRooms(joinRules?.allow),
    }),
    ...(algorithm !== undefined && { encryption: algorithm }),
    room_version: room.version.id,
  }
}

/** A room that this server is in, as it is in a state. */
export async function publicRoomOf(
  room: { readonly roomId: RoomId; readonly joinedMembers: number },
  state: StateView,
): Promise<PublicRoom> {
  const content = async (type: string) => (await state.event(type, ''))?.content ?? {}
  const alias = stringAt(await content('m.room.canonical_alias'), 'alias')
  const canonicalAlias = alias === undefined ? undefined : parseRoomAlias(alias)
  const name = stringAt(await content('m.room.name'), 'name')
  const topic = plainTopic(await content('m.room.topic'))
  const avatarUrl = stringAt(await content('m.room.avatar'), 'url')
  const roomType = stringAt(await content('m.room.create'), 'type')
  const visibility = readHistoryVisibility(await content('m.room.history_visibility'))
  const guestAccess = (await content('m.room.guest_access')).guest_access
  return {
    room_id: room.roomId,
    num_joined_members: room.joinedMembers,
    world_readable: visibility === 'world_readable',
    guest_can_join: guestAccess === 'can_join',
    // Without an event, a room is for those who were invited.
    join_rule: stringAt(await content('m.room.join_rules'), 'join_rule') ?? 'invite',
    ...(canonicalAlias !== undefined && { canonical_alias: canonicalAlias }),
    ...(name !== undefined && { name }),
    ...(topic !== undefined && { topic }),
    ...(avatarUrl !== undefined && parseMxcUri(avatarUrl) && { avatar_url: avatarUrl }),
    ...(roomType !== undefined && { room_type: roomType }),
  }
}

/**
 * The plain text topic of the room. Omitted if no `text/plain` mimetype exists in `m.room.topic`.
 *
 * What was written before there were mimetypes is plain.
 */
function plainTopic(content: JsonObject): string | undefined {
  const block = Object.hasOwn(content, 'm.topic') ? content['m.topic'] : undefined
  if (!isJsonObject(block)) return stringAt(content, 'topic')
  const texts = Array.isArray(block['m.text']) ? (block['m.text'] as readonly Json[]) : []
  for (const text of texts) {
    // If no mimetype is given, it is text/plain.
    if (!isJsonObject(text) || (text.mimetype ?? 'text/plain') !== 'text/plain') continue
    const body = stringAt(text, 'body')
    if (body !== undefined) return body
  }
  return undefined
}

/** A text that says something. */
function stringAt(content: JsonObject, key: string): string | undefined {
  const value = Object.hasOwn(content, key) ? content[key] : undefined
  return typeof value === 'string' && value !== '' ? value : undefined
}
