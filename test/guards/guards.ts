/**
 * The table of guards, in the order of `docs/security-tests.md`.
 *
 * @module
 */

import { guardsOfEvents } from './events.ts'
import type { Guard } from './guard.ts'
import { guardsOfRooms } from './rooms.ts'

export const guards: readonly Guard[] = [...guardsOfEvents, ...guardsOfRooms]
