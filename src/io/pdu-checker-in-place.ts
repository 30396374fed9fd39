/**
 * Checks PDUs on the thread that asks: for small batches, where a worker's round trip costs more than
 * it saves, and for the simulation.
 *
 * @module
 */

import { checkPdu, keysByServer } from '../protocol/check-pdu.ts'
import type { Clock } from './clock.ts'
import type { CheckedPdu, PduChecker } from './pdu-checker.ts'

/** How long the thread is kept before others get their turn. */
const sliceMs = 10

export function pduCheckerInPlace(clock: Pick<Clock, 'monotonicMs' | 'yield'>): PduChecker {
  return {
    async check(version, pdus, keys, references) {
      const byServer = keysByServer(keys)
      const checked: CheckedPdu[] = []
      let sliceStart = clock.monotonicMs()
      for (const bytes of pdus) {
        if (clock.monotonicMs() - sliceStart >= sliceMs) {
          await clock.yield()
          sliceStart = clock.monotonicMs()
        }
        checked.push(checkPdu(version, bytes, byServer, references))
      }
      return checked
    },
    async close() {},
  }
}
