/**
 * The power level that sending an event requires.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#definitions
 *
 * @module
 */

import type { AuthState } from './auth-state.ts'
import type { PowerLevel } from './power-level.ts'
import { levelIn, powerLevelsOf, requiredLevel } from './room-levels.ts'

/**
 * A given event type has an associated *required power level*. This is given by the current
 * `m.room.power_levels` event. The event type is either listed explicitly in the `events` section or
 * given by either `state_default` or `events_default` depending on if the event is a state event or
 * not.
 */
export function requiredPowerLevel(
  state: AuthState,
  { type, isState }: { type: string; isState: boolean },
): PowerLevel {
  const powerLevels = powerLevelsOf(state)
  const listed = powerLevels && levelIn(powerLevels, 'events', type)
  return listed ?? requiredLevel(state, isState ? 'state_default' : 'events_default')
}
