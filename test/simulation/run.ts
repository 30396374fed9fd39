/**
 * What a run of the simulation has made and counted.
 *
 * @module
 */

import type { Pdu } from '../../src/protocol/pdu.ts'
import type { SimulatedClient } from './client.ts'
import type { ClaimedKey } from './client-keys.ts'
import type { Script } from './scenario.ts'
import type { SimulatedServer } from './simulated-server.ts'
import type { Counters, World } from './world.ts'

export interface RunOutcome {
  readonly seed: number
  readonly trace: string
  readonly problems: readonly string[]
  readonly counters: Counters
  /** The parts of the run that came about: `scenario.ts`. */
  readonly met: readonly string[]
}

/** An event that a server acknowledged to a client. */
export interface Acknowledged {
  readonly roomId: string
  readonly eventId: string
  readonly by: SimulatedClient
  /** When the client began to send it. */
  readonly sentAtMs: number
}

/** An event that a server said it has taken from another. */
export interface Taken {
  readonly by: SimulatedServer
  readonly roomId: string
  readonly eventId: string
}

/** A room that one server has for itself, and something said there. */
export interface Secret {
  readonly by: SimulatedClient
  readonly roomId: string
  readonly eventId: string
}

export interface SimulatedRoom {
  readonly roomId: string
  readonly version: string
  /** Then users are told whose devices they do not know yet. */
  readonly isEncrypted: boolean
}

/** All that a run has made, for its actions and for the invariants. */
export interface Run {
  readonly world: World
  readonly script: Script
  readonly clients: SimulatedClient[]
  /** All whom the seed draws; those who are left out of a scenario are not there. */
  readonly people: (SimulatedClient | undefined)[]
  readonly rooms: SimulatedRoom[]
  /** All that the seed draws; those left out are not there. */
  readonly places: (SimulatedRoom | undefined)[]
  readonly acknowledged: Acknowledged[]
  /** What servers promised to bring to devices. */
  readonly deviceMessages: {
    readonly from: SimulatedClient
    readonly to: SimulatedClient
    readonly text: string
    readonly sentAtMs: number
  }[]
  deviceTexts: number
  /** Whether people do something about the keys of devices. */
  readonly hasKeys: boolean
  /** One-time keys that somebody was given. */
  readonly claimedKeys: ClaimedKey[]
  deviceNames: number
  /** Events that no room allows and a server sent all the same. */
  readonly forged: {
    readonly roomId: string
    readonly eventId: string
    /** Unless it is nothing that can be read as one. */
    readonly pdu?: Pdu
  }[]
  /** What servers answered with 200, and without an error for the event. */
  readonly taken: Taken[]
  /** What is at one server alone; absent if nobody has a secret. */
  secret?: Secret
  /** Servers that lie. */
  readonly liars: SimulatedServer[]
  /** Who does not give its events to whom, or not so that they can be proved: two names with a space between. */
  readonly withheld: Set<string>
  /** Whether all is well again, and nobody lies any more. */
  isHealed: boolean
  /** How many events were made past the rooms of their servers. */
  forgedIds: number
  readonly counters: Counters
  readonly problems: string[]
}

export function count(run: { counters: Counters }, what: string, by = 1): void {
  run.counters.set(what, (run.counters.get(what) ?? 0) + by)
}
