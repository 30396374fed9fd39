/**
 * What an attack is: it is done for so long, and tells which answers came.
 *
 * @module
 */

import type { Client } from '../rig/client.ts'
import type { PeerRoom } from '../scripted-peer/peer-room.ts'
import type { Arena, Statuses } from './arena.ts'
import type { PlayedServer } from './played-server.ts'

export interface Attack {
  readonly arena: Arena
  readonly attacker: PlayedServer
  /** A user who is in the attacker's room. */
  readonly victim: Client
  readonly room: PeerRoom
  readonly durationMs: number
}

export interface Scenario {
  readonly name: string
  readonly what: string
  readonly run: (attack: Attack) => Promise<Statuses>
  /** Whether it is the same whatever is answered, so that it can be compared with the floor. */
  readonly isOpen?: true
}
