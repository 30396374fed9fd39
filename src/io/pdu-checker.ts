/**
 * The costly, pure part of admitting PDUs: strict parse, format, signatures, content hash, event
 * ID. Small batches run where they are asked for; batches of ten or more go as bytes to worker
 * threads, which run the same code of `protocol/`. The simulation runs all in place.
 *
 * @module
 */

import type { CheckedPdu, VerifyKey } from '../protocol/check-pdu.ts'
import type { ReferenceRule } from '../protocol/event-format.ts'
import type { RoomVersion } from '../protocol/room-version.ts'
import type { ContentSignature } from '../protocol/signed-content.ts'

export type { CheckedPdu, ContentSignature, VerifyKey }

export interface PduChecker {
  /**
   * Checks PDUs of one room version against the keys given. The answers are in the order of `pdus`.
   * The limits on how many `prev_events` and `auth_events` an event has are for those that come
   * through `/send`; history that was fetched is `unlimited`. If not said, they are kept.
   */
  check(
    version: RoomVersion,
    pdus: readonly Uint8Array[],
    keys: readonly VerifyKey[],
    references?: ReferenceRule,
  ): Promise<CheckedPdu[]>
  /**
   * Whether an object with this content, that may have many megabytes, is signed: what `isContentSigned`
   * says. One at a time is checked on a thread.
   */
  checkContent(signed: ContentSignature, content: Uint8Array): Promise<boolean>
  close(): Promise<void>
}
