/**
 * Where in a room's state an event stands.
 *
 * @module
 */

import type { Pdu } from '#protocol/pdu.ts'

export interface StateKey {
  readonly type: string
  readonly stateKey: string
}

/** As one text, for maps. */
export function stateKeyText(type: string, stateKey: string): string {
  return `${type}\0${stateKey}`
}

/** That of an event; none if it is no state event. */
export function stateKeyOf(pdu: Pick<Pdu, 'type' | 'state_key'> | undefined): StateKey | undefined {
  if (pdu?.state_key === undefined) return undefined
  return { type: pdu.type, stateKey: pdu.state_key }
}
