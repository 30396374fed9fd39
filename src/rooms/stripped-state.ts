/**
 * Stripped state: a few state events that help somebody outside a room to know it, given with
 * invites and knocks.
 *
 * Between servers these are whole PDUs, so that the create event at least can be checked against the
 * room ID; servers from before version 1.16 of the spec send them stripped already. To clients they
 * always go stripped.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#stripped-state
 *
 * @module
 */

import type { RoomId, UserId } from '#protocol/identifiers/ids.ts'
import { parseUserId } from '#protocol/identifiers/user-id.ts'
import { isJsonObject, type Json, type JsonObject } from '#protocol/json.ts'
import { readJson } from '#protocol/json-reader.ts'
import { memberSpans } from '#protocol/json-spans.ts'
import { eventBytesMax, stateKeyBytesMax, typeBytesMax } from '#protocol/limits.ts'
import type { Pdu } from '#protocol/pdu.ts'
import type { StateView } from './rooms.ts'

/** Stripped state should contain some or all of the following state events. */
const strippedTypes: readonly string[] = [
  'm.room.create',
  'm.room.name',
  'm.room.avatar',
  'm.room.topic',
  'm.room.join_rules',
  'm.room.canonical_alias',
  'm.room.encryption',
]

/** A state event as clients outside the room see it. */
export function strip({ type, state_key = '', sender, content }: Pdu): JsonObject {
  return { type, state_key, sender, content }
}

/** The state that is given with an invite or a knock, and the membership of `member`, if there is one. */
export async function stateForOutsiders(state: StateView, member?: UserId): Promise<Pdu[]> {
  const events = await state.events((type, stateKey) =>
    type === 'm.room.member'
      ? stateKey === member
      : stateKey === '' && strippedTypes.includes(type),
  )
  // The create event comes first: without it the others mean nothing.
  return events.toSorted((a, b) => Number(isCreate(b)) - Number(isCreate(a)))
}

/**
 * How much stripped state of one invite or knock is kept, in bytes: it is in every sync until the user
 * answers, and whoever invites can make it as long as they like.
 */
const keptBytesMax = 65_536

/** Those of the entries that are kept: in their order, without what is too much. */
export function keptOf(entries: readonly JsonObject[]): JsonObject[] {
  let bytes = 0
  return entries.filter((entry) => {
    const size = Buffer.byteLength(JSON.stringify(entry))
    if (bytes + size > keptBytesMax) return false
    bytes += size
    return true
  })
}

/** Whether the type of an entry is `m.room.create`; nothing else of it is read. */
export function isCreateEntry(entry: Uint8Array): boolean {
  return textMember(entry, 'type') === 'm.room.create'
}

/** Whether an entry is a PDU, or is meant to be one, rather than a stripped event. */
export function isPduEntry(entry: Uint8Array): boolean {
  const members = memberSpans(entry)
  return members?.has('signatures') === true && members.has('auth_events')
}

/** An entry that was checked as a PDU, for clients; `undefined` if it does not belong to the room. */
export function strippedOfPdu(pdu: Pdu, roomId: RoomId): JsonObject | undefined {
  return pdu.room_id === roomId && pdu.state_key !== undefined ? strip(pdu) : undefined
}

/** An entry that was sent stripped; `undefined` if it is not what it should be. */
export function strippedOfEntry(entry: Uint8Array): JsonObject | undefined {
  if (entry.length > eventBytesMax) return undefined
  const read = readJson(entry, 'any')
  if (!read.ok || !isJsonObject(read.value)) return undefined
  const { type, state_key, content } = read.value
  const sender = typeof read.value.sender === 'string' ? parseUserId(read.value.sender) : undefined
  if (!isText(type, typeBytesMax) || !isText(state_key, stateKeyBytesMax)) return undefined
  if (sender === undefined || !isJsonObject(content)) return undefined
  return { type, state_key, sender, content }
}

function isCreate({ type }: Pdu): boolean {
  return type === 'm.room.create'
}

function isText(value: Json | undefined, bytesMax: number): value is string {
  return typeof value === 'string' && Buffer.byteLength(value) <= bytesMax && !value.includes('\0')
}

function textMember(bytes: Uint8Array, name: string): string | undefined {
  const span = memberSpans(bytes)?.get(name)
  const read = span && readJson(bytes.subarray(span.start, span.end), 'any')
  return read?.ok && typeof read.value === 'string' ? read.value : undefined
}
