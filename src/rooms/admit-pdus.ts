/**
 * The one door: bytes from other servers become PDUs here and nowhere else.
 *
 * Keys are gathered first, by a plain look at what each event says of itself; then format,
 * signatures, hashes and event ID are checked on the bytes. What fails is dropped, with a reason; it
 * is not stored, so a good copy from elsewhere can still come in.
 *
 * @module
 */

import type { Clock } from '#io/clock.ts'
import type { CheckedPdu, PduChecker } from '#io/pdu-checker.ts'
import { Slices } from '#io/slices.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import { receivedPduBytesMax } from '#protocol/limits.ts'
import type { RoomVersion } from '#protocol/room-version.ts'
import { signatureNeeds } from '#protocol/signature-needs.ts'
import type { Route } from './engine.ts'
import type { KeyNeed, Keyring } from './remote-servers.ts'

/** The limits on references are for what is new; history is taken as it is. */
const routesOfNewEvents: ReadonlySet<Route> = new Set([
  'send',
  'send_join',
  'send_leave',
  'send_knock',
  'invite',
  'invite response',
])

export async function admitPdus(
  {
    clock,
    keyring,
    pduChecker,
  }: {
    readonly clock: Pick<Clock, 'monotonicMs' | 'yield'>
    readonly keyring: Keyring
    readonly pduChecker: PduChecker
  },
  version: RoomVersion,
  pdus: readonly Uint8Array[],
  { route }: { readonly origin: ServerName; readonly route: Route },
): Promise<CheckedPdu[]> {
  if (pdus.length === 0) return []
  const keys = await keyring.verifyKeys(await keyNeedsOf(version, pdus, new Slices(clock)))
  const references = routesOfNewEvents.has(route) ? 'limited' : 'unlimited'
  return await pduChecker.check(version, pdus, keys, references)
}

/** The keys of those who must have signed, and of nobody else whom an event may name. */
async function keyNeedsOf(
  version: RoomVersion,
  pdus: readonly Uint8Array[],
  slices: Slices,
): Promise<KeyNeed[]> {
  const needs = new Map<string, KeyNeed>()
  for (const bytes of pdus) {
    if (slices.isOver) await slices.next()
    for (const need of signatureNeeds(version, bytes)) {
      const name = `${need.server} ${need.keyId}`
      const known = needs.get(name)
      if (known === undefined || known.at < need.at) needs.set(name, need)
    }
  }
  return [...needs.values()]
}

/** A plain look at an event, believing nothing of it. Of what is too large to be one nothing is seen. */
export function peek(bytes: Uint8Array): Record<string, unknown> | undefined {
  if (bytes.length > receivedPduBytesMax) return undefined
  try {
    const value: unknown = JSON.parse(
      Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString(),
    )
    return typeof value === 'object' && value !== null
      ? (value as Record<string, unknown>)
      : undefined
  } catch {
    return undefined
  }
}
