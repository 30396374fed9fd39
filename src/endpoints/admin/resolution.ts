/**
 * How a resolution of states is told.
 *
 * @module
 */

import * as t from '#schema/schema.ts'

/** A power level: text for what is no integer, `creator` for one above all. */
export const shownLevel = t.union(t.integer(), t.string())

const decision = t.object({
  event_id: t.eventId,
  /** The list that the event was in. */
  list: t.oneOf('power', 'mainline', 'depth'),
  /** Its sender's power level, in the list `power`. */
  sender_level: t.optional(shownLevel),
  /** In the list `mainline`; absent for an event that leans on nothing of the mainline. */
  mainline_position: t.optional(t.integer()),
  allowed: t.boolean(),
  /** The auth rule that refused it. */
  rule: t.optional(t.string()),
})

export const resolutionFields = {
  /** The events after which the states were. */
  parents: t.array(t.eventId),
  algorithm: t.oneOf('v1', 'v2', 'v2.1'),
  conflicts: t.array(
    t.object({
      type: t.string(),
      state_key: t.string(),
      /** What stands there after each of the parents, in their order. */
      candidates: t.array(t.union(t.eventId, t.literal(''))),
      winner: t.optional(t.eventId),
    }),
  ),
  /** What was tried, in the order of trying: the last that was allowed keeps its place. */
  decisions: t.array(decision),
}
