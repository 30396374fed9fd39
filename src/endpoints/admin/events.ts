/**
 * Looking into events as their server sees them.
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'
import { shownLevel as level, resolutionFields } from './resolution.ts'

const status = t.oneOf('accepted', 'soft_failed', 'rejected', 'outlier')

const reference = t.object({
  event_id: t.eventId,
  /** `missing`: this server does not have it. */
  status: t.oneOf('accepted', 'soft_failed', 'rejected', 'outlier', 'missing'),
  type: t.optional(t.string()),
  state_key: t.optional(t.string()),
  sender: t.optional(t.userId),
})

const signature = t.object({
  server: t.string(),
  /** Absent where a signature is missing. */
  key_id: t.optional(t.string()),
  /** Whether the event needs a signature of that server. */
  required: t.boolean(),
  /** `late`: good, but the key was not valid any more when the event was made. */
  outcome: t.oneOf('good', 'wrong', 'late', 'unknown-key', 'missing'),
  key: t.optional(
    t.object({
      key: t.string(),
      /** Absent for the key of this server itself. */
      valid_until_ts: t.optional(t.integer()),
      expired: t.boolean(),
      fetched_from: t.serverName,
    }),
  ),
})

const check = t.object({
  against: t.oneOf('auth_events', 'state_before', 'current_state'),
  allowed: t.boolean(),
  /** The auth rule that refused it. */
  rule: t.optional(t.string()),
  /** What the rules may read for the event, and what stands there. */
  inputs: t.array(
    t.object({
      type: t.string(),
      state_key: t.string(),
      event_id: t.optional(t.eventId),
      sender: t.optional(t.userId),
    }),
  ),
  /** What the rules weigh. Absent for the create event. */
  weighed: t.optional(
    t.object({
      sender_membership: t.optional(t.string()),
      sender_level: level,
      required_level: level,
      target_membership: t.optional(t.string()),
      target_level: t.optional(level),
      join_rule: t.optional(t.string()),
      invite_level: t.optional(level),
      kick_level: t.optional(level),
      ban_level: t.optional(level),
    }),
  ),
})

/** `GET /_hansa/admin/v1/events/{eventId}`: what the server thinks of an event, and why. */
export const explainEvent = endpoint({
  operationId: 'explainEvent',
  method: 'GET',
  path: '/_hansa/admin/v1/events/{eventId}',
  auth: 'admin',
  params: { eventId: t.eventId },
  query: {
    /** The room of the event, where events of several rooms bear one ID, as those of old versions can. */
    room_id: t.optional(t.roomId),
  },
  response: t.object({
    event_id: t.eventId,
    room_id: t.roomId,
    room_version: t.string(),
    status,
    rule: t.optional(t.string()),
    /** Where it stands in the timeline; absent for what no client sees there. */
    position: t.optional(t.object({ stream: t.integer(), sub: t.integer() })),
    redacted_by: t.optional(t.eventId),
    /** Whether its content is what was hashed; never true of a redacted event. */
    content_hash: t.boolean(),
    signatures: t.array(signature),
    prev_events: t.array(reference, { max: 10_000 }),
    auth_events: t.array(reference, { max: 10_000 }),
    /** In the order of checking, up to the first that refused it. */
    checks: t.array(check),
    state_before: t.object({
      basis: t.oneOf('none', 'parents', 'resolved', 'told'),
      size: t.optional(t.integer()),
      /** Whether the states after its parents lead to another state. */
      disputed: t.optional(t.boolean()),
      resolution: t.optional(t.object(resolutionFields)),
    }),
    /** Which servers we sent it to said that they could not use it, and why. */
    refusals: t.array(
      t.object({ destination: t.serverName, error: t.string(), refused_ts: t.integer() }),
      { max: 1000 },
    ),
    /** The event as servers exchange it. */
    pdu: t.unknown(),
  }),
})
