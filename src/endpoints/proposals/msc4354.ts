/**
 * Events that stick, which calls are made with before they are part of the specification.
 *
 * https://github.com/matrix-org/matrix-spec-proposals/pull/4354
 *
 * @module
 */

import { stickyMsMax } from '#protocol/sticky.ts'
import * as t from '#schema/schema.ts'

/** For how long an event sticks: milliseconds, as a parameter of sending. */
export const stickyParameter = 'org.matrix.msc4354.sticky_duration_ms'
export const stickyQuery = {
  [stickyParameter]: t.optional(t.integer({ min: 0, max: stickyMsMax })),
} as const
