/**
 * Which keys the check of a PDU will ask for, found before the check at little cost: the keys are
 * fetched in the meantime, and the check itself may then be done on another thread.
 *
 * Nothing is checked here but what decides about keys: the answer may name keys of an event that will
 * be dropped. It names none that an event can not need, so that no event makes us ask servers that have
 * nothing to do with it.
 *
 * @module
 */

import { serverNameOf } from './identifiers/common-format.ts'
import { parseEventIdIn, serverNameOfEventId } from './identifiers/event-id.ts'
import type { ServerName } from './identifiers/ids.ts'
import { parseUserId } from './identifiers/user-id.ts'
import { isJsonObject, type Json, type JsonObject } from './json.ts'
import { decodeUtf8 } from './json-reader.ts'
import { integerMax, receivedPduBytesMax } from './limits.ts'
import { policyKeyId } from './policy-signature.ts'
import type { RoomVersion } from './room-version.ts'
import { signaturesBy } from './signatures.ts'

/** A key that a signature was made with. */
export interface SignatureNeed {
  readonly server: ServerName
  readonly keyId: string
  /** When the signature was made: the event's `origin_server_ts`. */
  readonly at: number
}

/** How many signatures of one server count. A server has one, or two when it changes its key. */
const keysOfServerMax = 5

/** The keys that a PDU needs. None if the bytes are no PDU that could pass. */
export function signatureNeeds(version: RoomVersion, bytes: Uint8Array): SignatureNeed[] {
  const event = bytes.length <= receivedPduBytesMax ? parseObject(bytes) : undefined
  if (event === undefined) return []
  const at = typeof event.origin_server_ts === 'number' ? event.origin_server_ts : integerMax
  const needs: SignatureNeed[] = []
  for (const server of signersOf(version, event)) {
    const keyIds = Object.keys(signaturesBy(event, server) ?? {})
    const ours = keyIds.filter(isKeyOfServer).slice(0, keysOfServerMax)
    for (const keyId of ours) needs.push({ server, keyId, at })
  }
  return needs
}

/** A policy server's signature is by a key that stands in the room, and not by one of the server. */
function isKeyOfServer(keyId: string): boolean {
  return keyId.startsWith('ed25519:') && keyId !== policyKeyId
}

/** The servers of which `requiredSignatures` may name some. */
function signersOf(version: RoomVersion, event: JsonObject): ReadonlySet<ServerName> {
  const { sender, event_id, content, type } = event
  const signers = new Set<ServerName>()
  addServerOfUser(signers, sender)
  if (version.eventId === 'in-event' && typeof event_id === 'string') {
    const eventId = parseEventIdIn(version, event_id)
    if (eventId !== undefined) signers.add(serverNameOfEventId(eventId))
  }
  if (version.restrictedJoins && type === 'm.room.member' && isJsonObject(content)) {
    addServerOfUser(signers, content.join_authorised_via_users_server)
  }
  return signers
}

function addServerOfUser(servers: Set<ServerName>, value: Json | undefined): void {
  const userId = typeof value === 'string' ? parseUserId(value) : undefined
  if (userId !== undefined) servers.add(serverNameOf(userId))
}

function parseObject(bytes: Uint8Array): JsonObject | undefined {
  const text = decodeUtf8(bytes)
  if (text === undefined) return undefined
  try {
    const value: Json = JSON.parse(text)
    return isJsonObject(value) ? value : undefined
  } catch {
    return undefined
  }
}
