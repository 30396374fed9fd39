/**
 * The costly, pure part of admitting PDUs: strict parse, format, signatures, content hash, event
 * ID. Small batches run where they are asked for; batches of ten or more go as bytes to worker
 * threads, which run the same code of `protocol/`. The simulation runs all in place.
 *
 * @module
 */

import type { ServerName } from '../protocol/identifiers/ids.ts'
import type { Pdu } from '../protocol/pdu.ts'
import type { RoomVersion } from '../protocol/room-version.ts'

/** A public key that may verify a signature of `server` made with `keyId`. */
export interface VerifyKey {
  readonly server: ServerName
  readonly keyId: string
  /** Raw Ed25519 public key, 32 bytes. */
  readonly key: Uint8Array
  /** The key counts only for events whose `origin_server_ts` is not after this (versions 5 and later). */
  readonly validUntilTs: number
}

/** What became of one PDU: a `Pdu` (redacted if its content hash did not match), or why it is dropped. */
export type CheckedPdu =
  | { readonly ok: true; readonly pdu: Pdu; readonly redacted: boolean }
  | { readonly ok: false; readonly eventId?: string; readonly reason: string }

export interface PduChecker {
  /** Checks PDUs of one room version against the keys given. The answers are in the order of `pdus`. */
  check(
    version: RoomVersion,
    pdus: readonly Uint8Array[],
    keys: readonly VerifyKey[],
  ): Promise<CheckedPdu[]>
  close(): Promise<void>
}
