/**
 * The one door: bytes from other servers become PDUs here and nowhere else.
 *
 * Keys are gathered first, by a plain look at what each event says of itself; then format,
 * signatures, hashes and event ID are checked on the bytes. What fails is dropped, with a reason; it
 * is not stored, so a good copy from elsewhere can still come in.
 *
 * @module
 */

import type { CheckedPdu, PduChecker } from '#io/pdu-checker.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import { parseServerName } from '#protocol/identifiers/server-name.ts'
import type { RoomVersion } from '#protocol/room-version.ts'
import type { Route } from './engine.ts'
import type { KeyNeed, Keyring } from './remote-servers.ts'

/** How many signatures of one event are looked at. */
const signaturesMax = 20

export async function admitPdus(
  { keyring, pduChecker }: { readonly keyring: Keyring; readonly pduChecker: PduChecker },
  version: RoomVersion,
  pdus: readonly Uint8Array[],
  { route }: { readonly origin: ServerName; readonly route: Route },
): Promise<CheckedPdu[]> {
  if (pdus.length === 0) return []
  const keys = await keyring.verifyKeys(keyNeedsOf(pdus))
  // The limits on references are for what is new; history is taken as it is.
  const references = route === 'send' ? 'limited' : 'unlimited'
  return await pduChecker.check(version, pdus, keys, references)
}

function keyNeedsOf(pdus: readonly Uint8Array[]): KeyNeed[] {
  const needs = new Map<string, KeyNeed>()
  for (const bytes of pdus) {
    for (const need of keyNeedsOfPdu(bytes)) {
      const name = `${need.server} ${need.keyId}`
      const known = needs.get(name)
      if (known === undefined || known.at < need.at) needs.set(name, need)
    }
  }
  return [...needs.values()]
}

function keyNeedsOfPdu(bytes: Uint8Array): KeyNeed[] {
  const event = peek(bytes)
  const { signatures, origin_server_ts: at } = event ?? {}
  if (typeof signatures !== 'object' || signatures === null || typeof at !== 'number') return []
  const needs: KeyNeed[] = []
  for (const [name, keys] of Object.entries(signatures)) {
    const server = parseServerName(name)
    if (server === undefined || typeof keys !== 'object' || keys === null) continue
    for (const keyId of Object.keys(keys)) {
      if (needs.length < signaturesMax) needs.push({ server, keyId, at })
    }
  }
  return needs
}

/** A plain look at an event, believing nothing of it. */
export function peek(bytes: Uint8Array): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'))
    return typeof value === 'object' && value !== null
      ? (value as Record<string, unknown>)
      : undefined
  } catch {
    return undefined
  }
}
