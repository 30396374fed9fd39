/**
 * Asking notaries for the keys of servers that do not answer themselves.
 *
 * Whoever needs keys at the same moment shares one request: a large room has members on hundreds of
 * servers that are gone. What a notary gives counts only if it is signed by the server it is about
 * and by the notary. Of a server that is gone nobody can say that it did not sign: so a quorum of
 * notaries may be asked for, of which each must give the same key.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#querying-keys-through-another-server
 *
 * @module
 */

import { bulkPerspectivesKeyQuery } from '#endpoints/server-server/keys-query.ts'
import type { Clock } from '#io/clock.ts'
import { Limiter } from '#io/limiter.ts'
import type { Log } from '#io/log.ts'
import type { VerifyKey } from '#io/pdu-checker.ts'
import { encodeBase64 } from '#protocol/base64.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import { isJsonObject, type JsonObject } from '#protocol/json.ts'
import { FederationError, type KeyNeed } from '#rooms/remote-servers.ts'
import type { FederationClient } from './call.ts'
import { isSignedByNotary, type PublishedServerKey } from './server-keys-answer.ts'

export interface NotariesNeeds {
  readonly client: FederationClient
  readonly clock: Clock
  readonly log: Log
  readonly notaries: readonly ServerName[]
  /** How many must give the same key. */
  readonly quorum: number
  readonly keysOfNotary: (notary: ServerName) => Promise<readonly VerifyKey[]>
  /**
   * Takes an answer that the notary signed, and of it the keys that enough notaries gave. Gives what is
   * wrong with it, if something is.
   */
  readonly onAnswer: (
    server: ServerName,
    notary: ServerName,
    answer: JsonObject,
    isAttested: (key: PublishedServerKey) => boolean,
  ) => Promise<string | undefined>
}

export interface Notaries {
  /** Asks for keys of a server. Resolves when all that could be learned is learned; never throws. */
  ask(server: ServerName, needs: readonly KeyNeed[]): Promise<void>
}

/** How long is waited for others who need keys. */
const gatherMs = 50
/** How many servers one request asks about. */
const serversMax = 100
/** How many answers of one server a notary may give: each is checked, against those of other notaries too. */
const answersMax = 10
/** How many requests to notaries are under way. */
const underWayMax = 10
const timeoutMs = 20_000

interface Batch {
  readonly needs: Map<ServerName, readonly KeyNeed[]>
  readonly done: Promise<void>
}

export function createNotaries(needs: NotariesNeeds): Notaries {
  let open: Batch | undefined
  const limiter = new Limiter(underWayMax, 'questions to notaries')
  const start = (): Batch => {
    const gathered = new Map<ServerName, readonly KeyNeed[]>()
    const done = needs.clock.sleep(gatherMs).then(async () => {
      if (open?.needs === gathered) open = undefined
      await limiter.run(() => askAll(needs, gathered))
    })
    return { needs: gathered, done }
  }
  return {
    async ask(server, wanted) {
      if (needs.notaries.length === 0) return
      if (open === undefined || open.needs.size >= serversMax) open = start()
      open.needs.set(server, wanted)
      await open.done
    },
  }
}

/** What a notary gave for one server. */
interface Given {
  readonly notary: ServerName
  readonly answer: JsonObject
}

/** Asks one notary after the other for what not enough of the ones before gave. */
async function askAll(
  needs: NotariesNeeds,
  wanted: ReadonlyMap<ServerName, readonly KeyNeed[]>,
): Promise<void> {
  const missing = new Map(wanted)
  const given = new Map<ServerName, Given[]>()
  for (const notary of needs.notaries) {
    if (missing.size === 0) return
    // A notary is not asked about itself: it would have answered.
    const asked = new Map([...missing].filter(([server]) => server !== notary))
    if (asked.size === 0) continue
    for (const [server, answers] of await askNotary(needs, notary, asked)) {
      const ofServer = given.getOrInsertComputed(server, () => [])
      ofServer.push(...answers.map((answer) => ({ notary, answer })))
      if (await takeIn(needs, server, ofServer)) missing.delete(server)
    }
  }
}

/** Takes what enough notaries gave. Gives whether there was something that enough gave. */
async function takeIn(
  needs: NotariesNeeds,
  server: ServerName,
  given: readonly Given[],
): Promise<boolean> {
  const notaries = new Set(given.map(({ notary }) => notary))
  if (notaries.size < needs.quorum) return false
  let isAnyAttested = false
  const isAttested = ({ keyId, key }: PublishedServerKey) => {
    const text = encodeBase64(key)
    const those = given.filter(({ answer }) => keyIn(answer, keyId) === text)
    const isEnough = new Set(those.map(({ notary }) => notary)).size >= needs.quorum
    if (isEnough) isAnyAttested = true
    return isEnough
  }
  for (const { notary, answer } of given) {
    const problem = await needs.onAnswer(server, notary, answer, isAttested)
    if (problem === undefined) continue
    needs.log.warn('a notary gives keys we cannot use', { notary, server, problem })
  }
  return isAnyAttested
}

/** The text of a key in an answer. */
function keyIn({ verify_keys: current, old_verify_keys: old }: JsonObject, keyId: string): unknown {
  for (const keys of [current, old]) {
    const described = isJsonObject(keys) && Object.hasOwn(keys, keyId) ? keys[keyId] : undefined
    if (isJsonObject(described)) return described.key
  }
  return undefined
}

/** Gives what the notary knew and signed, for the servers that were asked for. */
async function askNotary(
  needs: NotariesNeeds,
  notary: ServerName,
  wanted: ReadonlyMap<ServerName, readonly KeyNeed[]>,
): Promise<Map<ServerName, JsonObject[]>> {
  const learned = new Map<ServerName, JsonObject[]>()
  try {
    const keys = await needs.keysOfNotary(notary)
    if (keys.length === 0) return learned
    const body = { server_keys: Object.fromEntries([...wanted].map(criteria)) }
    const options = { timeoutMs }
    const { json } = await needs.client.call(notary, bulkPerspectivesKeyQuery, { body }, options)
    const given = Map.groupBy(json.server_keys, ({ server_name }) => server_name as ServerName)
    for (const [server, answers] of given) {
      if (!wanted.has(server)) continue
      const some = answers.slice(0, answersMax)
      const signed = some.filter((answer) => isSignedByNotary(answer, notary, keys))
      if (signed.length > 0) learned.set(server, signed)
      if (signed.length === some.length) continue
      needs.log.warn('a notary gives keys it did not sign', { notary, server })
    }
  } catch (error) {
    if (!(error instanceof FederationError)) throw error
    needs.log.info('a notary does not answer', { notary, problem: error.message })
  }
  return learned
}

/** What is asked of one server's keys. */
function criteria([server, needs]: [ServerName, readonly KeyNeed[]]): [string, JsonObject] {
  const byKey = needs.map(({ keyId, at }) => [keyId, { minimum_valid_until_ts: at }] as const)
  return [server, Object.fromEntries(byKey)]
}
