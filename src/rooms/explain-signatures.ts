/**
 * Who signed a stored event, with which keys, and whether that counts: what was checked when it came
 * in, done once more with the keys that are in the archive. Nobody is asked for a key.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#validating-hashes-and-signatures-on-received-events
 *
 * @module
 */

import { decodeBase64, encodeBase64 } from '#protocol/base64.ts'
import { verifyEd25519 } from '#protocol/ed25519.ts'
import { isContentHash } from '#protocol/hashes.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import { parseServerName } from '#protocol/identifiers/server-name.ts'
import { isJsonObject, type Json } from '#protocol/json.ts'
import { type ReadPdu, readPdu } from '#protocol/parse-pdu.ts'
import type { Pdu } from '#protocol/pdu.ts'
import { requiredSignatures } from '#protocol/required-signatures.ts'
import type { Reader } from '#storage/database.ts'
import { serverKeysOf } from '#storage/server-keys.ts'
import type { Signer } from './remote-servers.ts'

/** What is known of a key. */
export interface UsedKey {
  /** Unpadded Base64. */
  readonly key: string
  /** Until when it is good; for an expired one, when it expired. `undefined` for our own. */
  readonly validUntilTs: number | undefined
  readonly expired: boolean
  /** Who told us of it: the server itself, or a notary. */
  readonly fetchedFrom: ServerName
}

export interface ExplainedSignature {
  readonly server: string
  /** `undefined` where a server has not signed that must have. */
  readonly keyId: string | undefined
  readonly isRequired: boolean
  /** `late`: good, but the key was not valid any more when the event was made. */
  readonly outcome: 'good' | 'wrong' | 'late' | 'unknown-key' | 'missing'
  readonly key: UsedKey | undefined
}

export interface ExplainedSignatures {
  readonly signatures: readonly ExplainedSignature[]
  /** Whether the content is that which was hashed. Never true of a redacted event. */
  readonly hasContentHash: boolean
}

/** What is looked at of one event. */
const serversMax = 20
const signaturesPerServerMax = 10

/** Who we are, as far as signatures are concerned. */
export type OwnKey = Pick<Signer, 'serverName' | 'keyId' | 'publicKey'>

export async function explainSignatures(
  db: Reader,
  own: OwnKey | undefined,
  pdu: Pdu,
): Promise<ExplainedSignatures> {
  const read = readPdu(pdu.version, pdu.bytes, 'unlimited')
  if (typeof read === 'string') return { signatures: [], hasContentHash: false }
  const found = requiredSignatures(pdu)
  const required: ReadonlySet<string> = typeof found === 'string' ? new Set() : found
  const { signatures: all } = pdu.json
  const byServer = new Map(isJsonObject(all) ? Object.entries(all) : [])
  const signatures: ExplainedSignature[] = []
  const servers = [...new Set([...required, ...[...byServer.keys()].sort()])]
  for (const server of servers.slice(0, serversMax)) {
    const isRequired = required.has(server)
    const keys = await keysOf(db, own, server)
    for (const one of signaturesOf(read, byServer.get(server), keys)) {
      signatures.push({ server, isRequired, ...one })
    }
  }
  return { signatures, hasContentHash: isContentHash(read.fields.contentHash, read.members) }
}

type Outcome = Pick<ExplainedSignature, 'keyId' | 'outcome' | 'key'>

function signaturesOf(
  { pdu, essentials }: ReadPdu,
  ofServer: Json | undefined,
  keys: ReadonlyMap<string, UsedKey>,
): Outcome[] {
  const entries = isJsonObject(ofServer) ? Object.entries(ofServer) : []
  if (entries.length === 0) return [{ keyId: undefined, outcome: 'missing', key: undefined }]
  // What counts comes first, whatever else an event brings along.
  entries.sort(([a], [b]) => Number(keys.has(b)) - Number(keys.has(a)) || (a < b ? -1 : 1))
  return entries.slice(0, signaturesPerServerMax).map(([keyId, text]) => {
    const key = keys.get(keyId)
    if (key === undefined) return { keyId, outcome: 'unknown-key', key }
    const signature = typeof text === 'string' ? decodeBase64(text) : undefined
    const bytes = decodeBase64(key.key)
    const isGood = bytes && signature && verifyEd25519(bytes, Buffer.from(essentials), signature)
    if (!isGood) return { keyId, outcome: 'wrong', key }
    const { validUntilTs = Number.POSITIVE_INFINITY } = key
    const isLate = pdu.version.signingKeyValidity && validUntilTs < pdu.origin_server_ts
    return { keyId, outcome: isLate ? 'late' : 'good', key }
  })
}

async function keysOf(
  db: Reader,
  own: OwnKey | undefined,
  server: string,
): Promise<Map<string, UsedKey>> {
  const name = parseServerName(server)
  const keys = new Map<string, UsedKey>()
  if (name === undefined) return keys
  for (const row of await serverKeysOf(db, name)) {
    keys.set(row.key_id, {
      key: row.key_base64,
      validUntilTs: row.valid_until_ts,
      expired: row.expired === 1,
      fetchedFrom: row.fetched_from,
    })
  }
  if (own !== undefined && own.serverName === name) {
    const key = encodeBase64(own.publicKey)
    keys.set(own.keyId, { key, validUntilTs: undefined, expired: false, fetchedFrom: name })
  }
  return keys
}
