/**
 * The table of guards, in the order of `docs/security-tests.md`.
 *
 * @module
 */

import { guardsOfAccounts } from './accounts.ts'
import { guardsOfAvailability } from './availability.ts'
import { guardsOfEvents } from './events.ts'
import type { Guard } from './guard.ts'
import { guardsOfKeys } from './keys.ts'
import { guardsOfReading } from './reading.ts'
import { guardsOfRooms } from './rooms.ts'

export const guards: readonly Guard[] = [
  ...guardsOfEvents,
  ...guardsOfRooms,
  ...guardsOfKeys,
  ...guardsOfReading,
  ...guardsOfAvailability,
  ...guardsOfAccounts,
]
