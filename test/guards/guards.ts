/**
 * The table of guards, in the order of `docs/security-tests.md`.
 *
 * @module
 */

import { guardsOfAccounts } from './accounts.ts'
import { guardsOfAvailability } from './availability.ts'
import { guardsOfEvents } from './events.ts'
import { guardsOfGraphs } from './graphs.ts'
import { guardsOfGrowth } from './growth.ts'
import type { Guard } from './guard.ts'
import { guardsOfKeys } from './keys.ts'
import { guardsOfReading } from './reading.ts'
import { guardsOfRooms } from './rooms.ts'
import { guardsOfSpeakers } from './speakers.ts'
import { guardsOfState } from './state.ts'
import { guardsOfTransport } from './transport.ts'

export const guards: readonly Guard[] = [
  ...guardsOfEvents,
  ...guardsOfState,
  ...guardsOfGraphs,
  ...guardsOfRooms,
  ...guardsOfKeys,
  ...guardsOfSpeakers,
  ...guardsOfTransport,
  ...guardsOfReading,
  ...guardsOfAvailability,
  ...guardsOfGrowth,
  ...guardsOfAccounts,
]
