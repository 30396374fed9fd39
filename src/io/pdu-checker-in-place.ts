/**
 * Checks PDUs on the thread that asks: for small batches, where a worker's round trip costs more than
 * it saves, and for the simulation.
 *
 * @module
 */

import { checkPdu, keysByServer } from '../protocol/check-pdu.ts'
import { isContentSigned } from '../protocol/signed-content.ts'
import type { Clock } from './clock.ts'
import type { CheckedPdu, PduChecker } from './pdu-checker.ts'
import { Slices } from './slices.ts'

export function pduCheckerInPlace(clock: Pick<Clock, 'monotonicMs' | 'yield'>): PduChecker {
  return {
    async check(version, pdus, keys, references) {
      const byServer = keysByServer(keys)
      const checked: CheckedPdu[] = []
      const slices = new Slices(clock)
      for (const bytes of pdus) {
        if (slices.isOver) await slices.next()
        checked.push(checkPdu(version, bytes, byServer, references))
      }
      return checked
    },
    checkContent: async (signed, content) => isContentSigned(signed, content),
    async close() {},
  }
}
