/**
 * The format in which clients see events: `ClientEvent` of the spec.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#room-event-format
 *
 * @module
 */

import type { EventId } from '#protocol/identifiers/ids.ts'
import { isJsonObject, type Json, type JsonObject } from '#protocol/json.ts'
import type { Pdu } from '#protocol/pdu.ts'
import { stickyField, stickyMsOf } from '#protocol/sticky.ts'

/** What one client is told of an event beside the event itself: its `unsigned`. */
export interface EventView {
  /** What the clock shows. */
  readonly now: number
  /** The membership of whoever asks, after the event. */
  readonly membership?: string | undefined
  /** The state event that this one replaced. */
  readonly replacesState?: EventId | undefined
  /** The content of that one, if whoever asks may see it. */
  readonly prevContent?: JsonObject | undefined
  readonly redactedBecause?: Pdu | undefined
  /** Only for the device that sent the event. */
  readonly transactionId?: string | undefined
  /** What its children come to, by the type of their relation to it. */
  readonly relations?: JsonObject | undefined
  /** When it expires, of an event that sticks. */
  readonly expiresTs?: number | undefined
}

/** The event as clients see it. `/sync` leaves the room ID out, since it stands elsewhere there. */
export function clientEvent(pdu: Pdu, view: EventView, room: 'with' | 'without'): JsonObject {
  return {
    type: pdu.type,
    ...(pdu.state_key !== undefined && { state_key: pdu.state_key }),
    sender: pdu.sender,
    content: contentOf(pdu),
    // For backwards-compatibility with older clients, servers should add a redacts property to the
    // top level of m.room.redaction events.
    ...(pdu.redacts !== undefined && { redacts: pdu.redacts }),
    event_id: pdu.event_id,
    origin_server_ts: pdu.origin_server_ts,
    ...(stickyMsOf(pdu) !== undefined && { [stickyField]: pdu.json[stickyField] as JsonObject }),
    ...(room === 'with' && { room_id: pdu.room_id }),
    unsigned: unsignedOf(pdu, view, room),
  }
}

function unsignedOf(pdu: Pdu, view: EventView, room: 'with' | 'without'): JsonObject {
  const { membership, replacesState, prevContent, redactedBecause, transactionId, relations } = view
  const { expiresTs } = view
  return {
    age: view.now - pdu.origin_server_ts,
    ...(membership !== undefined && { membership }),
    ...(replacesState !== undefined && { replaces_state: replacesState }),
    ...(prevContent !== undefined && { prev_content: prevContent }),
    ...(redactedBecause !== undefined && {
      redacted_because: clientEvent(redactedBecause, { now: view.now }, room),
    }),
    ...(transactionId !== undefined && { transaction_id: transactionId }),
    ...(relations !== undefined && { 'm.relations': relations }),
    ...(expiresTs !== undefined && {
      msc4354_sticky_duration_ttl_ms: Math.max(0, expiresTs - view.now),
    }),
  }
}

/**
 * For improved compatibility with newer clients, servers should add a redacts property to the content
 * of m.room.redaction events in older room versions.
 */
function contentOf(pdu: Pdu): JsonObject {
  if (pdu.redacts === undefined || pdu.type !== 'm.room.redaction') return pdu.content
  return { ...pdu.content, redacts: pdu.redacts }
}

/** An event as servers exchange it, for a filter with `event_format: federation`. */
export function federationEvent(pdu: Pdu): JsonObject {
  return pdu.json
}

/** The event as stripped state. */
export function strippedEvent({ type, state_key = '', sender, content }: Pdu): JsonObject {
  return { type, state_key, sender, content }
}

/**
 * What another server gave as stripped state, brought into the form that clients may be given.
 *
 * Servers cannot pass through what they receive over federation to clients as stripped state. Servers
 * are expected to prune the events into the stripped state schema before passing the details onto
 * clients.
 */
export function prunedStrippedState(events: readonly Json[]): JsonObject[] {
  return events.filter(isJsonObject).flatMap(({ type, state_key, sender, content }) => {
    const isSound =
      typeof type === 'string' &&
      typeof state_key === 'string' &&
      typeof sender === 'string' &&
      isJsonObject(content)
    return isSound ? [{ type, state_key, sender, content }] : []
  })
}
