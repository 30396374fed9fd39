/**
 * The outside world as one value. `real-io.ts` makes the one a server runs on; the simulation makes
 * one for each server of its world.
 *
 * @module
 */

import type { Clock } from './clock.ts'
import type { Dns } from './dns.ts'
import type { Files } from './files.ts'
import type { HttpClient, Listen } from './http.ts'
import type { Log } from './log.ts'
import type { Machine } from './machine.ts'
import type { PduChecker } from './pdu-checker.ts'
import type { Random } from './random.ts'
import type { Thumbnailer } from './thumbnailer.ts'

export interface Io {
  readonly clock: Clock
  readonly random: Random
  /** For other homeservers. */
  readonly httpClient: HttpClient
  /** For everything else on the web. */
  readonly outboundHttpClient: HttpClient
  readonly listen: Listen
  readonly dns: Dns
  readonly files: Files
  readonly log: Log
  readonly machine: Machine
  readonly pduChecker: PduChecker
  readonly thumbnailer: Thumbnailer
}
