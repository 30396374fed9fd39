/**
 * Signed events for tests, in every room version.
 *
 * @module
 */

import { addSignature, buildPdu, type EventDraft } from '#protocol/build-pdu.ts'
import { canonicalJson } from '#protocol/canonical-json.ts'
import { keysByServer, type VerifyKey } from '#protocol/check-pdu.ts'
import { signingKeyOf } from '#protocol/ed25519.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'
import { parsePdu } from '#protocol/parse-pdu.ts'
import type { Pdu } from '#protocol/pdu.ts'
import { type RoomVersion, roomVersions } from '#protocol/room-version.ts'
import type { JsonSigner } from '#protocol/signatures.ts'

/** The room version of that name, which must be one. */
export function versionOf(id: string): RoomVersion {
  const version = roomVersions.get(id)
  if (version === undefined) throw new Error(`no room version ${id}`)
  return version
}

/** When all sample events were made. */
export const sampleTs = 1_700_000_000_000

/** A server's key, the same in each run. */
export function sampleSigner(name: string): JsonSigner & { readonly verifyKey: VerifyKey } {
  const seed = new Uint8Array(32)
  seed.set(Buffer.from(name).subarray(0, 32))
  const { publicKey, sign } = signingKeyOf(seed)
  const server = name as ServerName
  const keyId = 'ed25519:a'
  const verifyKey = { server, keyId, key: publicKey, validUntilTs: sampleTs }
  return { serverName: server, keyId, sign, verifyKey }
}

export const hostA = sampleSigner('a.example')
export const hostB = sampleSigner('b.example')
export const sampleKeys = keysByServer([hostA.verifyKey, hostB.verifyKey])

/** A message of `@u:a.example`, with the fields given instead of its own. */
export function sampleDraft(version: RoomVersion, fields: Partial<EventDraft> = {}): EventDraft {
  const inEvent = version.eventId === 'in-event' ? { event_id: '$e:a.example' as const } : undefined
  return {
    ...inEvent,
    room_id: version.roomIdIsCreateEventId ? `!${'r'.repeat(43)}` : '!r:a.example',
    type: 'm.room.message',
    sender: '@u:a.example',
    depth: 7,
    origin_server_ts: sampleTs,
    prev_events: [{ event_id: '$p:a.example', sha256: 'p' }],
    auth_events: [{ event_id: '$q:a.example', sha256: 'q' }],
    content: { msgtype: 'm.text', body: 'Grüß Gott' },
    ...fields,
  }
}

/** The same, hashed and signed. */
export function sampleEvent(
  version: RoomVersion,
  fields: Partial<EventDraft> = {},
  signer: JsonSigner = hostA,
): Pdu {
  const built = buildPdu(version, sampleDraft(version, fields), signer)
  if (!built.ok) throw new Error(built.reason)
  return built.pdu
}

/** The event with a new signature of A. */
export function resigned(version: RoomVersion, json: JsonObject): Pdu {
  const parsed = parsePdu(version, Buffer.from(canonicalJson({ ...json, signatures: {} })))
  if (!parsed.ok) throw new Error(parsed.reason)
  return addSignature(parsed.pdu, hostA)
}

/** Why an event is refused that a server signed otherwise. */
export function wrongBy(server: string): string {
  return `the signature of ${server} with ed25519:a is wrong`
}
