/**
 * What a push gateway is told of an event.
 *
 * @module
 */

import type { EventId, RoomId, UserId } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'
import { tweaksIn } from '#protocol/push-rules/evaluate.ts'
import type { PushAction } from '#protocol/push-rules/ruleset.ts'
import type { Rooms } from '#rooms/rooms.ts'
import type { PusherRow } from '#storage/pushers.ts'
import { dataOf } from './pushers.ts'

/** A notification that waits for a pusher. */
export interface Waiting {
  readonly roomId: RoomId
  readonly eventId: EventId
  readonly stream: number
  readonly actions: readonly PushAction[]
}

type BodyRooms = Pick<Rooms, 'currentState' | 'event' | 'membership'>

/** Only the counts, where something was read elsewhere. */
export function countsBody(pusher: PusherRow, unread: number): JsonObject {
  // SPEC: "Counts whose value is zero should be omitted." But then a gateway is told nothing, where
  // the number that a device shows is to go away.
  return { counts: { unread }, devices: [deviceOf(pusher, {})], prio: 'low' }
}

export async function eventBody(
  rooms: BodyRooms,
  pusher: PusherRow,
  { roomId, eventId, actions }: Waiting,
  unread: number,
): Promise<JsonObject> {
  const tweaks = tweaksIn(actions)
  const event = await describedEvent(rooms, pusher.user_id, roomId, eventId)
  const isUrgent =
    tweaks.highlight === true || tweaks.sound !== undefined || event.type === 'm.room.encrypted'
  const base = {
    event_id: eventId,
    room_id: roomId,
    // Counts whose value is zero should be omitted.
    counts: unread > 0 ? { unread } : {},
    devices: [deviceOf(pusher, tweaks)],
    prio: isUrgent ? 'high' : 'low',
  }
  // When the `format` is `event_id_only`, only these are required to be populated.
  return dataOf(pusher).format === 'event_id_only' ? base : { ...event, ...base }
}

function deviceOf(pusher: PusherRow, tweaks: JsonObject): JsonObject {
  // Servers MUST forward the entire content including `format` and any custom keys but excluding `url`.
  const { url: _, ...data } = dataOf(pusher)
  return {
    app_id: pusher.app_id,
    pushkey: pusher.pushkey,
    pushkey_ts: Math.floor(pusher.set_ts / 1000),
    data,
    tweaks,
  }
}

async function describedEvent(
  rooms: BodyRooms,
  userId: UserId,
  roomId: RoomId,
  eventId: EventId,
): Promise<JsonObject> {
  const stored = await rooms.event(roomId, eventId)
  const membership = await rooms.membership(userId, roomId)
  const isOutside = membership?.eventId === eventId && membership.membership === 'invite'
  const stripped = isOutside ? membership.strippedState : []
  const state = isOutside ? undefined : await rooms.currentState(roomId)
  const contentAt = async (type: string, stateKey: string) =>
    (await state?.event(type, stateKey))?.content ?? strippedContent(stripped, type, stateKey)
  const { type, sender, content, state_key } = stored?.pdu ?? {
    type: 'm.room.member',
    sender: membership?.sender,
    content: strippedContent(stripped, 'm.room.member', userId),
    state_key: userId,
  }
  const member = sender === undefined ? undefined : await contentAt('m.room.member', sender)
  return {
    type,
    ...(sender !== undefined && { sender }),
    ...(content !== undefined && { content }),
    ...textField('sender_display_name', member?.displayname),
    ...textField('room_name', (await contentAt('m.room.name', ''))?.name),
    ...textField('room_alias', (await contentAt('m.room.canonical_alias', ''))?.alias),
    ...(type === 'm.room.member' && { user_is_target: state_key === userId }),
  }
}

function textField(name: string, value: unknown): JsonObject {
  return typeof value === 'string' && value !== '' ? { [name]: value } : {}
}

function strippedContent(
  events: readonly JsonObject[],
  type: string,
  stateKey: string,
): JsonObject | undefined {
  const found = events.find((event) => event.type === type && event.state_key === stateKey)
  return found?.content as JsonObject | undefined
}
