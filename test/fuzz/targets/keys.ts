/**
 * What a server, or a notary in its place, answers when it is asked for keys; and what we, as a notary
 * ourselves, pass on of it.
 *
 * The first line of an input says who signs the answers that follow, after all changes to them:
 * `notary` with `both`, `server`, `notary` or `none` of the two signatures, or the server itself,
 * `direct`, with `server` or `none`.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { encodeBase64 } from '#protocol/base64.ts'
import { tryCanonicalJson } from '#protocol/canonical-json.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import { isJsonObject, type Json, type JsonObject } from '#protocol/json.ts'
import { readJson } from '#protocol/json-reader.ts'
import { signatureProblem, signJson } from '#protocol/signatures.ts'
import { createBackOff } from '../../../src/federation/back-off.ts'
import { createFederationClient } from '../../../src/federation/call.ts'
import { keysInMemory } from '../../../src/federation/key-archive.ts'
import { createNotary } from '../../../src/federation/notary.ts'
import { createOwnKeys } from '../../../src/federation/own-keys.ts'
import { type ArchivingKeyring, createKeyring } from '../../../src/federation/server-keys.ts'
import { readServerKeys } from '../../../src/federation/server-keys-answer.ts'
import { HttpFailure, type OutgoingRequest } from '../../../src/io/http.ts'
import { silentLog } from '../../../src/io/log.ts'
import type { VerifyKey } from '../../../src/io/pdu-checker.ts'
import { VirtualTime } from '../../../src/io/simulated/simulated-clock.ts'
import { seededRandom } from '../../../src/io/simulated/simulated-random.ts'
import type { Signer } from '../../../src/rooms/remote-servers.ts'
import { openSqlite, type SqliteDatabase } from '../../../src/storage/sqlite.ts'
import {
  dayMs,
  first,
  notaryName,
  notarySigner,
  published,
  second,
  signerOf,
  them,
  us,
} from '../../key-world.ts'
import { firstLine, type Target } from '../target.ts'

const now = 1_700_000_000_000
const other = 'other.test' as ServerName
const otherSigner = signerOf(other, 7)
const weekMs = 7 * dayMs
/** The most keys that one answer may have. */
const keysMax = 128

const old = { [second.keyId]: { key: encodeBase64(second.publicKey), expired_ts: now - dayMs } }
/** What `them` says of its keys, unsigned. */
const honest: readonly JsonObject[] = [
  published([first], now + dayMs, { old_verify_keys: old }),
  published([first, second], now + 99 * dayMs),
].map(({ signatures: _signatures, ...answer }) => answer)

const ofNotary = ['notary both', 'notary server', 'notary notary', 'notary none']
const ofServer = ['direct server', 'direct none']

/** What is answered, and which parts of it the signers of the first line have signed. */
interface Given {
  readonly body: Uint8Array
  readonly signed: readonly JsonObject[]
  /** Whether it is a list of objects, so that the good one at its end must be taken. */
  readonly isList: boolean
}

export async function serverKeyAnswers(): Promise<Target> {
  const db = await openSqlite({})
  return {
    name: 'server-key-answers',
    seeds: [
      ...ofNotary.map((line) => `${line}\n${JSON.stringify({ server_keys: honest })}`),
      `notary both\n${JSON.stringify({ server_keys: Array(50).fill(honest[0]) })}`,
      ...ofServer.flatMap((line) => honest.map((answer) => `${line}\n${JSON.stringify(answer)}`)),
    ],
    words: [
      ...['server_keys', 'server_name', 'verify_keys', 'old_verify_keys', 'valid_until_ts', 'key'],
      ...['expired_ts', 'signatures', first.keyId, second.keyId, 'ed25519:', them, other],
    ],
    async run(input) {
      const { line, rest } = firstLine(input)
      if (!ofNotary.includes(line) && !ofServer.includes(line)) return
      const isDirect = ofServer.includes(line)
      const [, signers] = line.split(' ')
      const isSignedBy = (one: string) => signers === 'both' || signers === one
      const by = [
        ...(isSignedBy('server') ? [first] : []),
        ...(isSignedBy('notary') ? [notarySigner] : []),
      ]
      const given = isDirect ? ofOneServer(rest, by) : ofManyServers(rest, by)
      const isBelieved = by.length === (isDirect ? 1 : 2)
      await ask(db, isDirect, { ...given, signed: isBelieved ? given.signed : [] })
    },
  }
}

function ofOneServer(body: Uint8Array, by: readonly Signer[]): Given {
  const read = readJson(body, 'raw')
  const answer = read.ok ? signedBy(read.value, by) : undefined
  if (answer === undefined) return { body, signed: [], isList: false }
  return { body: Buffer.from(JSON.stringify(answer)), signed: [answer], isList: false }
}

function ofManyServers(body: Uint8Array, by: readonly Signer[]): Given {
  const read = readJson(body, 'raw')
  const list = read.ok && isJsonObject(read.value) ? read.value.server_keys : undefined
  if (!read.ok || !Array.isArray(list)) return { body, signed: [], isList: false }
  const signed = list
    .map((one: Json) => signedBy(one, by))
    .filter((one: JsonObject | undefined) => one !== undefined)
  const left: Json[] = list.filter((one: Json) => signedBy(one, by) === undefined)
  const goodOne = [otherSigner, notarySigner].reduce<JsonObject>(signJson, {
    server_name: other,
    valid_until_ts: now + dayMs,
    verify_keys: { [otherSigner.keyId]: { key: encodeBase64(otherSigner.publicKey) } },
    old_verify_keys: {},
  })
  const server_keys: Json[] = [...left, ...signed, goodOne]
  const answer = { ...(read.value as JsonObject), server_keys }
  const isList = left.every((one) => isJsonObject(one))
  return { body: Buffer.from(JSON.stringify(answer)), signed, isList }
}

/** What can be signed, signed. The mutations break signatures, so it is done after them. */
function signedBy(value: Json, by: readonly Signer[]): JsonObject | undefined {
  if (!isJsonObject(value) || tryCanonicalJson(value) === undefined) return undefined
  return by.reduce(signJson, value)
}

/** Asks for keys of both servers, and passes on what was learned. */
async function ask(db: SqliteDatabase, isDirect: boolean, given: Given): Promise<void> {
  const time = new VirtualTime(now)
  const clock = time.clock()
  const random = seededRandom(1)
  const ownKeys = createOwnKeys(notarySigner, clock)
  let asked = 0
  const httpClient = {
    async request({ hostname, target }: OutgoingRequest) {
      asked += 1
      const answer = (body: Uint8Array | object) => ({
        status: 200,
        headers: {},
        body: body instanceof Uint8Array ? body : Buffer.from(JSON.stringify(body)),
      })
      if (hostname === them && isDirect) return answer(given.body)
      if (hostname !== notaryName) throw new HttpFailure('connect', 'nobody there')
      if (target.endsWith('/server')) return answer(ownKeys())
      return answer(isDirect ? { server_keys: [] } : given.body)
    },
    close: async () => {},
  }
  const discovery = {
    targets: async (server: ServerName) => [
      { hostname: server, port: 1, hostHeader: server, tlsName: server },
    ],
  }
  const log = silentLog
  const backOff = await createBackOff({ db, clock, random, log })
  const way = { clock, log, signer: us, httpClient, discovery }
  const keyring = createKeyring({
    ...way,
    client: createFederationClient({ ...way, backOff }),
    archive: keysInMemory(),
    trustedKeyServers: [notaryName],
  })
  const ids = [first.keyId, second.keyId, 'ed25519:x']
  const needs = [
    ...ids.map((keyId) => ({ server: them, keyId, at: now })),
    { server: other, keyId: otherSigner.keyId, at: now },
  ]
  const found = await time.await(keyring.verifyKeys(needs))
  assert.ok(asked <= 4, `${asked} requests for keys of two servers`)
  for (const key of found) if (key.server === them) checkKey(key, given.signed, clock.now())
  const hasOther = found.some(({ server, key }) => {
    return server === other && Buffer.from(key).equals(otherSigner.publicKey)
  })
  if (given.isList) assert.ok(hasOther, 'bad answers in a list cost no good one')
  else assert.ok(!hasOther)
  await checkPassedOn(keyring, time)
}

/** A key that is believed is in something that was properly signed, and good for no longer than that. */
function checkKey(
  { keyId, key, validUntilTs }: VerifyKey,
  signed: readonly JsonObject[],
  learnedTs: number,
): void {
  const isOf = (described: Json | undefined) =>
    isJsonObject(described) &&
    typeof described.key === 'string' &&
    Buffer.from(described.key, 'base64').equals(key)
  const memberOf = (keys: Json | undefined): JsonObject | undefined => {
    const described = isJsonObject(keys) && Object.hasOwn(keys, keyId) ? keys[keyId] : undefined
    return isJsonObject(described) && isOf(described) ? described : undefined
  }
  // Of what is said for longer than seven days only so much counts, from when it was learned.
  const isCut = validUntilTs >= now + weekMs && validUntilTs <= learnedTs + weekMs
  const isSaid = signed.some(({ server_name, verify_keys, old_verify_keys, valid_until_ts }) => {
    if (server_name !== them) return false
    if (memberOf(verify_keys) === undefined) {
      return memberOf(old_verify_keys)?.expired_ts === validUntilTs
    }
    const isLong = typeof valid_until_ts === 'number' && valid_until_ts > now + weekMs
    return isLong ? isCut : valid_until_ts === validUntilTs
  })
  assert.equal(key.length, 32)
  assert.ok(isSaid, `${keyId} until ${validUntilTs} is not in what was signed`)
}

/** What we keep is given to others with our signature, and they can read it. */
async function checkPassedOn(keyring: ArchivingKeyring, time: VirtualTime): Promise<void> {
  const rows = await keyring.stored(them)
  assert.ok(rows.length <= keysMax, `${rows.length} keys are kept`)
  const clock = time.clock()
  const known = { stored: keyring.stored.bind(keyring), refresh: async () => {} }
  const ownKeys = createOwnKeys(us, clock)
  const notary = createNotary({ keyring: known, signer: us, clock, ownKeys })
  const answers = await time.await(notary.answer([{ server: them, keys: new Map() }]))
  assert.equal(answers.length > 0, rows.length > 0)
  const ours = [{ keyId: us.keyId, key: us.publicKey }]
  for (const answer of answers) {
    assert.equal(signatureProblem(answer, us.serverName, ours), undefined)
    const again = readJson(Buffer.from(JSON.stringify(answer)), 'raw')
    assert.ok(again.ok, 'what is passed on is JSON')
    const read = readServerKeys(again.value, them, now)
    assert.ok(read.ok, read.ok ? '' : read.reason)
  }
}
