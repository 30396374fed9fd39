/**
 * The event format: which fields a PDU has, of what types, within what limits.
 *
 * What is checked is what a server reads. Fields that the format does not name may be anything; they
 * are hashed like all others.
 *
 * https://spec.matrix.org/v1.19/rooms/v12/#event-format-1
 * https://spec.matrix.org/v1.19/client-server-api/#size-limits
 *
 * @module
 */

import { exceedsBytes } from './identifiers/common-format.ts'
import { parseEventId, parseEventIdIn } from './identifiers/event-id.ts'
import type { EventId, RoomId, UserId } from './identifiers/ids.ts'
import { parseRoomIdIn } from './identifiers/room-id.ts'
import { parseUserId } from './identifiers/user-id.ts'
import { isJsonObject, type Json, type JsonObject } from './json.ts'
import {
  authEventsMax,
  depthMaxBeforeV6,
  integerMax,
  prevEventsMax,
  stateKeyBytesMax,
  typeBytesMax,
} from './limits.ts'
import type { RoomVersion } from './room-version.ts'

/** The fields of an event that has the format of its version. */
export interface EventFields {
  /** Of versions 1 and 2. */
  readonly event_id: EventId | undefined
  /** Absent only in the create event of version 12. */
  readonly room_id: RoomId | undefined
  readonly type: string
  readonly state_key: string | undefined
  readonly sender: UserId
  readonly depth: number
  readonly origin_server_ts: number
  readonly prev_events: readonly EventId[]
  readonly auth_events: readonly EventId[]
  readonly content: JsonObject
  readonly redacts: EventId | undefined
  /** `hashes.sha256`, as written. */
  readonly contentHash: string
  readonly signatures: JsonObject
}

/**
 * How many references an event may have. An event that comes through `/send` must keep the limits of
 * `prev_events` and `auth_events`; old ones exist that do not, and history with them must be readable.
 */
export type ReferenceRule = 'limited' | 'unlimited'

export type EventFormat =
  | { readonly ok: true; readonly fields: EventFields }
  | { readonly ok: false; readonly reason: string }

/** Reads the fields of an event, or says what is wrong with one of them. */
export function readEventFormat(
  version: RoomVersion,
  event: JsonObject,
  references: ReferenceRule,
): EventFormat {
  const problems: string[] = []
  const field = <Value>(name: string, value: Value | undefined): Value => {
    if (value === undefined) problems.push(name)
    // Not used if there is a problem.
    return value as Value
  }
  const type = field('type', readText(event.type, typeBytesMax))
  const state_key =
    event.state_key === undefined
      ? undefined
      : field('state_key', readText(event.state_key, stateKeyBytesMax))
  const counted = references === 'limited'
  const fields: EventFields = {
    type,
    state_key,
    event_id: isAbsent(version.eventId !== 'in-event', event.event_id)
      ? undefined
      : field('event_id', readEventId(version, event)),
    room_id: isAbsent(isCreateOfRoomId(version, event), event.room_id)
      ? undefined
      : field('room_id', readRoomId(version, event)),
    sender: field('sender', readUserId(event.sender)),
    depth: field('depth', readDepth(version, event.depth)),
    origin_server_ts: field('origin_server_ts', readInteger(version, event.origin_server_ts)),
    prev_events: field(
      'prev_events',
      readReferences(version, event.prev_events, counted ? prevEventsMax : undefined),
    ),
    auth_events: field(
      'auth_events',
      readReferences(version, event.auth_events, counted ? authEventsMax : undefined),
    ),
    content: field('content', readObject(event.content)),
    redacts: readRedacts(version, event, type, () => field('redacts', undefined)),
    contentHash: field('hashes', readContentHash(event.hashes)),
    signatures: field('signatures', readObject(event.signatures)),
  }
  const [name] = problems
  return name === undefined ? { ok: true, fields } : { ok: false, reason: `bad ${name}` }
}

/**
 * A type or a state key.
 *
 * SPEC: NUL is not forbidden in them. PostgreSQL holds no text with NUL, so no server on it can have
 * such an event in its state; nor can Hansa.
 */
function readText(value: Json | undefined, bytesMax: number): string | undefined {
  if (typeof value !== 'string' || exceedsBytes(value, bytesMax)) return undefined
  return value.includes('\0') ? undefined : value
}

/** Whether a field is not there in an event that must not have it. */
function isAbsent(mustBe: boolean, value: Json | undefined): boolean {
  return mustBe && value === undefined
}

/** Whether the room's ID is made from this event's. */
function isCreateOfRoomId(version: RoomVersion, event: JsonObject): boolean {
  return version.roomIdIsCreateEventId && event.type === 'm.room.create' && event.state_key === ''
}

/** Since version 3 the `event_id` field is no longer included: with it, there is none. */
function readEventId(version: RoomVersion, event: JsonObject): EventId | undefined {
  const { event_id } = event
  if (version.eventId !== 'in-event') return undefined
  return typeof event_id === 'string' ? parseEventIdIn(version, event_id) : undefined
}

/** Omitted from `m.room.create` events of version 12: with it, there is none. */
function readRoomId(version: RoomVersion, event: JsonObject): RoomId | undefined {
  const { room_id } = event
  if (isCreateOfRoomId(version, event)) return undefined
  return typeof room_id === 'string' ? parseRoomIdIn(version, room_id) : undefined
}

function readUserId(value: Json | undefined): UserId | undefined {
  return typeof value === 'string' ? parseUserId(value) : undefined
}

/**
 * The depth must be less than the maximum value for an integer: 2^53 - 1 since version 6, 2^63 - 1
 * before, where larger numbers than JavaScript's are in use. Those count as the largest of
 * JavaScript's.
 */
function readDepth(version: RoomVersion, value: Json | undefined): number | undefined {
  const depth = readInteger(version, value)
  if (depth === undefined || depth < 0) return undefined
  const text = rawTextOf(value)
  return text === undefined || BigInt(text) <= depthMaxBeforeV6 ? depth : undefined
}

/** An integer; before version 6, one that JavaScript cannot keep becomes the nearest that it can. */
function readInteger(version: RoomVersion, value: Json | undefined): number | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? value : undefined
  const text = version.strictCanonicalJson ? undefined : rawTextOf(value)
  if (text === undefined || !/^-?[0-9]+$/.test(text)) return undefined
  return text.startsWith('-') ? -integerMax : integerMax
}

function rawTextOf(value: Json | undefined): string | undefined {
  return JSON.isRawJSON(value) ? value.rawJSON : undefined
}

/** `prev_events` or `auth_events`: IDs, or pairs of an ID and hashes. */
function readReferences(
  version: RoomVersion,
  value: Json | undefined,
  countMax: number | undefined,
): EventId[] | undefined {
  if (!Array.isArray(value)) return undefined
  if (countMax !== undefined && value.length > countMax) return undefined
  const ids: EventId[] = []
  for (const element of value as readonly Json[]) {
    const text = version.referencesHaveHashes ? idOfPair(element) : element
    const id = typeof text === 'string' ? parseEventId(text) : undefined
    if (id === undefined) return undefined
    ids.push(id)
  }
  return ids
}

function idOfPair(pair: Json): Json | undefined {
  if (!Array.isArray(pair) || pair.length !== 2) return undefined
  const [id, hashes] = pair as readonly Json[]
  return isJsonObject(hashes) ? id : undefined
}

function readObject(value: Json | undefined): JsonObject | undefined {
  return isJsonObject(value) ? value : undefined
}

function readContentHash(value: Json | undefined): string | undefined {
  if (!isJsonObject(value)) return undefined
  const { sha256 } = value
  return typeof sha256 === 'string' ? sha256 : undefined
}

/** The event that a redaction names: beside the content until version 10, then in the content. */
function readRedacts(
  version: RoomVersion,
  event: JsonObject,
  type: string,
  refuse: () => void,
): EventId | undefined {
  const { content } = event
  const holder = version.redactsInContent ? content : event
  const redacts = isJsonObject(holder) ? holder.redacts : undefined
  if (redacts === undefined) return undefined
  // The content is no part of the format.
  if (typeof redacts !== 'string') return version.redactsInContent ? undefined : void refuse()
  return type === 'm.room.redaction' ? parseEventId(redacts) : undefined
}
