/**
 * The end of a turn of the event loop: where what was collected during the turn is sent off in one
 * piece.
 *
 * @module
 */

/** Calls `act` once everything that is due now has run. */
export function afterTurn(act: () => void): void {
  setImmediate(act)
}
