/**
 * A keyring on virtual time, in a network where a test says what each server answers.
 *
 * @module
 */

import { createBackOff } from '../src/federation/back-off.ts'
import { createFederationClient } from '../src/federation/call.ts'
import { storedKeys } from '../src/federation/key-archive.ts'
import type { OldKey } from '../src/federation/own-keys.ts'
import { createKeyring } from '../src/federation/server-keys.ts'
import { type HttpClient, HttpFailure } from '../src/io/http.ts'
import { silentLog } from '../src/io/log.ts'
import { VirtualTime } from '../src/io/simulated/simulated-clock.ts'
import { seededRandom } from '../src/io/simulated/simulated-random.ts'
import { encodeBase64 } from '../src/protocol/base64.ts'
import { signingKeyOf } from '../src/protocol/ed25519.ts'
import type { ServerName } from '../src/protocol/identifiers/ids.ts'
import type { Json, JsonObject } from '../src/protocol/json.ts'
import { signJson } from '../src/protocol/signatures.ts'
import type { Signer } from '../src/rooms/remote-servers.ts'
import { memoryImage, openSqlite } from '../src/storage/sqlite.ts'

export const dayMs = 86_400_000
export const them = 'them.test' as ServerName
export const notaryName = 'notary.test' as ServerName

export function signerOf(serverName: string, seed: number, keyId = `ed25519:k${seed}`): Signer {
  const { publicKey, sign } = signingKeyOf(new Uint8Array(32).fill(seed))
  return { serverName: serverName as ServerName, keyId, publicKey, sign }
}

export const us = signerOf('us.test', 1)
export const first = signerOf(them, 2)
export const second = signerOf(them, 3)
export const notarySigner = signerOf(notaryName, 4)

/** What a server publishes of its keys; `changes` makes it wrong. */
export function published(
  signers: readonly Signer[],
  validUntilTs: number,
  changes: Record<string, Json> = {},
): JsonObject {
  const keys = signers.map((one) => [one.keyId, { key: encodeBase64(one.publicKey) }])
  const answer: JsonObject = {
    server_name: them,
    valid_until_ts: validUntilTs,
    verify_keys: Object.fromEntries(keys),
    old_verify_keys: {},
    ...changes,
  }
  return signers.reduce((object, signer) => signJson(object, signer), answer)
}

export type Answer = JsonObject | string | undefined

/** A keyring in a network where `answers` says what each server answers to a request. */
export async function openKeyring(
  options: {
    notaries?: ServerName[]
    quorum?: number
    stolen?: readonly string[]
    oldKeys?: readonly OldKey[]
    image?: ReturnType<typeof memoryImage>
  } = {},
) {
  const time = new VirtualTime()
  const clock = time.clock()
  const image = options.image ?? memoryImage()
  const db = await openSqlite({ image })
  const alarms: unknown[] = []
  const asked: string[] = []
  const log = { ...silentLog, error: (_: string, fields?: object) => alarms.push(fields) }
  const answers = new Map<string, (target: string, body: JsonObject) => Answer | Promise<Answer>>()
  const httpClient: HttpClient = {
    async request({ hostname, target, body }) {
      asked.push(`${hostname} ${target}`)
      const parsed =
        body === undefined ? {} : JSON.parse(Buffer.from(body as Uint8Array).toString())
      const answer = await answers.get(hostname)?.(target, parsed)
      if (answer === undefined) throw new HttpFailure('connect', 'nobody there')
      const text = typeof answer === 'string' ? answer : JSON.stringify(answer)
      return { status: 200, headers: {}, body: Buffer.from(text) }
    },
    close: async () => {},
  }
  const discovery = {
    targets: async (server: ServerName) => [
      { hostname: server, port: 1, hostHeader: server, tlsName: server },
    ],
  }
  const backOff = await createBackOff({ db, clock, random: seededRandom(1), log })
  const client = createFederationClient({ clock, signer: us, httpClient, discovery, backOff })
  const trustedKeyServers = options.notaries ?? []
  const common = { clock, log, signer: us, client, httpClient, discovery, trustedKeyServers }
  const { quorum, oldKeys, stolen = [] } = options
  const keyring = createKeyring({
    ...common,
    archive: storedKeys(db),
    quorum,
    oldKeys,
    stolenKeys: new Set(stolen),
  })
  /** The keys of `them` that can be had, as `id until days`. */
  const check = async (keyIds: string[], at = clock.now(), server = them): Promise<string[]> => {
    const found = time.await(keyring.verifyKeys(keyIds.map((keyId) => ({ server, keyId, at }))))
    return (await found).map(({ keyId, key, validUntilTs }) => {
      const days = Math.round(((validUntilTs - clock.now()) / dayMs) * 10) / 10
      const owner = [us, first, second, notarySigner].find((one) =>
        Buffer.from(one.publicKey).equals(key),
      )
      return `${keyId} ${days} ${owner?.keyId === keyId ? '' : 'foreign'}`.trim()
    })
  }
  return { time, clock, answers, asked, alarms, keyring, check, image, httpClient }
}
