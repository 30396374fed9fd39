/**
 * The keyring: the public keys of other servers, from memory, the archive, the server itself, or a
 * notary, in this order.
 *
 * A key ID belongs to the first key that was seen under it, for ever: another key under the same ID
 * is an attack or a mistake, and either way is logged as an alarm and not believed.
 *
 * Servers whose keys cannot be had are asked again after ten seconds, then ever more rarely, but at
 * least every five minutes: whoever cannot prove who they are cannot give a sign of life either.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#retrieving-server-keys
 *
 * @module
 */

import { LRUCache } from 'lru-cache'
import type { Clock } from '#io/clock.ts'
import { HttpFailure } from '#io/http.ts'
import { Limiter } from '#io/limiter.ts'
import type { Log } from '#io/log.ts'
import type { VerifyKey } from '#io/pdu-checker.ts'
import { decodeBase64, encodeBase64 } from '#protocol/base64.ts'
import { canonicalJson } from '#protocol/canonical-json.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'
import { readJson } from '#protocol/json-reader.ts'
import type { KeyNeed, Keyring, Signer } from '#rooms/remote-servers.ts'
import type { ServerKeyRow } from '#storage/server-keys.ts'
import { askServer, type WayOut } from './ask-server.ts'
import type { FederationClient } from './call.ts'
import type { KeyArchive } from './key-archive.ts'
import { createNotaries, type Notaries } from './notaries.ts'
import type { OldKey } from './own-keys.ts'
import { isWorthless } from './published-keys.ts'
import { type PublishedServerKey, readServerKeys } from './server-keys-answer.ts'

export interface KeyringNeeds extends WayOut {
  readonly archive: KeyArchive
  readonly clock: Clock
  readonly log: Log
  readonly signer: Signer
  readonly client: FederationClient
  /** The notaries that are asked where the servers themselves do not answer. */
  readonly trustedKeyServers: readonly ServerName[]
  /** How many of them must give the same key; one, if it is not said. */
  readonly quorum?: number | undefined
  /** Keys that were stolen, in unpadded Base64: nothing is believed that is signed with one. */
  readonly stolenKeys?: ReadonlySet<string> | undefined
  /** Keys that we signed with before. */
  readonly oldKeys?: readonly OldKey[] | undefined
}

/** A keyring that also knows what servers said of their keys, for others. */
export interface ArchivingKeyring extends Keyring {
  /** All keys of a server that are in the archive. */
  stored(server: ServerName): Promise<ServerKeyRow[]>
  /** Asks a server itself for its keys, unless that was done a moment ago. */
  refresh(server: ServerName): Promise<void>
}

/** How many servers' keys are in memory. */
const serversMax = 20_000
/** How many keys one server may have had in all its life. */
const keysPerServerMax = 1000
/** How many servers are asked at the same time. */
const askedMax = 50
const askTimeoutMs = 10_000
const answerBytesMax = 64 * 1024
/** How soon after an answer a server is asked again, whatever is missing. */
const pauseAfterAnswerMs = 60_000
const pauseAfterFailureMs = { min: 10_000, max: 300_000 }

/** The keys of one server, by key ID. */
type KnownKeys = ReadonlyMap<string, KnownKey>

interface KnownKey {
  readonly key: Uint8Array
  readonly validUntilTs: number
  readonly expired: boolean
}

/** When a server may be asked again. */
interface Attempt {
  readonly failures: number
  readonly againAtMs: number
}

export function createKeyring(needs: KeyringNeeds): ArchivingKeyring {
  return new StoredKeyring(needs)
}

class StoredKeyring implements ArchivingKeyring {
  readonly #needs: KeyringNeeds
  readonly #notaries: Notaries
  readonly #known = new LRUCache<ServerName, KnownKeys>({
    maxSize: serversMax,
    sizeCalculation: () => 1,
  })
  readonly #attempts = new LRUCache<ServerName, Attempt>({
    maxSize: serversMax,
    sizeCalculation: () => 1,
  })
  readonly #asking = new Map<ServerName, Promise<void>>()
  /** Questions to servers themselves; these wait for nobody else. */
  readonly #askingDirectly = new Map<ServerName, Promise<void>>()
  readonly #limiter = new Limiter(askedMax, 'questions for server keys')

  constructor(needs: KeyringNeeds) {
    this.#needs = needs
    this.#notaries = createNotaries({
      client: needs.client,
      clock: needs.clock,
      log: needs.log,
      notaries: needs.trustedKeyServers,
      quorum: needs.quorum ?? 1,
      keysOfNotary: async (notary) => await this.#keysOfNotary(notary),
      onAnswer: async (server, notary, answer, isAttested) =>
        await this.#learn(server, notary, answer, isAttested),
    })
  }

  async verifyKeys(needs: readonly KeyNeed[]): Promise<VerifyKey[]> {
    const byServer = Map.groupBy(needs, (need) => need.server)
    const found = await Promise.all(
      [...byServer].map(([server, own]) =>
        server === this.#needs.signer.serverName ? this.#ownKeys(own) : this.#keysOf(server, own),
      ),
    )
    return found.flat()
  }

  async stored(server: ServerName): Promise<ServerKeyRow[]> {
    return await this.#needs.archive.keysOf(server)
  }

  async refresh(server: ServerName): Promise<void> {
    await this.#ask(server, [])
  }

  #ownKeys(needs: readonly KeyNeed[]): VerifyKey[] {
    const { serverName: server, keyId, publicKey: key } = this.#needs.signer
    const old = (this.#needs.oldKeys ?? []).flatMap(({ keyId: oldId, key: text, expiredTs }) => {
      const bytes = decodeBase64(text)
      return bytes === undefined
        ? []
        : [{ server, keyId: oldId, key: bytes, validUntilTs: expiredTs }]
    })
    const own = [{ server, keyId, key, validUntilTs: Number.MAX_SAFE_INTEGER }, ...old]
    return own.filter((one) => needs.some((need) => need.keyId === one.keyId))
  }

  async #keysOf(server: ServerName, needs: readonly KeyNeed[]): Promise<VerifyKey[]> {
    let known = await this.#load(server)
    if (needs.some((need) => !isMet(known, need))) {
      await this.#ask(server, needs)
      known = await this.#load(server)
    }
    return [...new Set(needs.map((need) => need.keyId))].flatMap((keyId) => {
      const found = known.get(keyId)
      if (found === undefined) return []
      return [{ server, keyId, key: found.key, validUntilTs: found.validUntilTs }]
    })
  }

  /** What is known of a server's keys, without asking anybody. */
  async #load(server: ServerName): Promise<KnownKeys> {
    const known = this.#known.get(server)
    if (known !== undefined) return known
    const rows = await this.#needs.archive.keysOf(server)
    const loaded = new Map<string, KnownKey>()
    for (const row of rows) {
      const key = decodeBase64(row.key_base64)
      if (key === undefined || isWorthless(key, this.#needs.stolenKeys)) continue
      loaded.set(row.key_id, { key, validUntilTs: row.valid_until_ts, expired: row.expired === 1 })
    }
    // What was learned while the archive was read is newer.
    const learned = this.#known.get(server)
    if (learned !== undefined) return learned
    this.#known.set(server, loaded)
    return loaded
  }

  /** Asks the server, and the notaries for what it does not tell; once at a time and not too often. */
  async #ask(server: ServerName, needs: readonly KeyNeed[]): Promise<void> {
    const running = this.#asking.get(server)
    if (running !== undefined) return await running
    if (!this.#mayAsk(server)) return
    const asking = this.#askAll(server, needs)
    this.#asking.set(server, asking)
    try {
      await asking
    } finally {
      this.#asking.delete(server)
    }
  }

  async #askAll(server: ServerName, needs: readonly KeyNeed[]): Promise<void> {
    await this.#askItself(server)
    const known = await this.#load(server)
    const missing = needs.filter((need) => !isMet(known, need))
    if (missing.length > 0) await this.#notaries.ask(server, missing)
  }

  #mayAsk(server: ServerName): boolean {
    const last = this.#attempts.get(server)
    return last === undefined || this.#needs.clock.monotonicMs() >= last.againAtMs
  }

  /** Asks the server itself, and nobody else; once at a time. */
  async #askItself(server: ServerName): Promise<void> {
    const asking = this.#askingDirectly.getOrInsertComputed(server, () =>
      this.#limiter
        .run(() => this.#askItselfNow(server))
        .finally(() => this.#askingDirectly.delete(server)),
    )
    await asking
  }

  async #askItselfNow(server: ServerName): Promise<void> {
    const failures = this.#attempts.get(server)?.failures ?? 0
    const hasAnswered = await this.#askDirectly(server)
    const { min, max } = pauseAfterFailureMs
    const pauseMs = hasAnswered ? pauseAfterAnswerMs : Math.min(min * 2 ** failures, max)
    const againAtMs = this.#needs.clock.monotonicMs() + pauseMs
    this.#attempts.set(server, { failures: hasAnswered ? 0 : failures + 1, againAtMs })
  }

  /** Whether the server gave a proper answer. */
  async #askDirectly(server: ServerName): Promise<boolean> {
    const { log } = this.#needs
    try {
      const answer = await askServer(this.#needs, server, {
        method: 'GET',
        target: '/_matrix/key/v2/server',
        timeoutMs: askTimeoutMs,
        answerBytesMax,
      })
      const read = readJson(answer.body, 'raw')
      const problem =
        answer.status !== 200
          ? `status ${answer.status}`
          : read.ok
            ? await this.#learn(server, server, read.value as JsonObject)
            : read.reason
      if (problem !== undefined) log.info('a server does not tell its keys', { server, problem })
      return problem === undefined
    } catch (error) {
      if (!(error instanceof HttpFailure)) throw error
      log.info('a server does not tell its keys', { server, problem: error.message })
      return false
    }
  }

  /** Takes over what a server says of its keys. Gives what is wrong with it, if something is. */
  async #learn(
    server: ServerName,
    from: ServerName,
    answer: JsonObject,
    isAttested: (key: PublishedServerKey) => boolean = () => true,
  ): Promise<string | undefined> {
    const { clock, archive } = this.#needs
    const now = clock.now()
    const read = readServerKeys(answer, server, now, this.#needs.stolenKeys)
    if (!read.ok) return read.reason
    const known = new Map(await this.#load(server))
    const rows: ServerKeyRow[] = []
    const response = canonicalJson(answer)
    for (const key of read.keys) {
      if (known.size >= keysPerServerMax && !known.has(key.keyId)) continue
      if (!isAttested(key) && !known.has(key.keyId)) continue
      const merged = this.#merge(server, from, known.get(key.keyId), key)
      if (merged === undefined) continue
      known.set(key.keyId, merged)
      rows.push({
        key_id: key.keyId,
        key_base64: encodeBase64(merged.key),
        valid_until_ts: merged.validUntilTs,
        expired: merged.expired ? 1 : 0,
        fetched_ts: now,
        fetched_from: from,
        response_json: response,
      })
    }
    this.#known.set(server, known)
    await archive.save(server, rows)
    return undefined
  }

  /** A key as it is to be kept; `undefined` if it is not believed, or nothing new. */
  #merge(
    server: ServerName,
    from: ServerName,
    known: KnownKey | undefined,
    { keyId, key, validUntilTs, expired }: PublishedServerKey,
  ): KnownKey | undefined {
    if (known === undefined) return { key, validUntilTs, expired }
    if (!isSame(known.key, key)) {
      this.#needs.log.error('a server has another key under an ID we know', { server, keyId, from })
      return undefined
    }
    if (known.expired) return undefined
    if (expired) return { key, validUntilTs, expired }
    // An answer of some time ago, brought by somebody else, takes nothing back.
    return { key, expired, validUntilTs: Math.max(known.validUntilTs, validUntilTs) }
  }

  /** The keys by which a notary's answers are checked: those that it told us itself. */
  async #keysOfNotary(notary: ServerName): Promise<VerifyKey[]> {
    const now = this.#needs.clock.now()
    const usable = (known: KnownKeys) => [...known].filter(([, key]) => key.validUntilTs >= now)
    // Whoever asks a notary must not wait for what notaries say of it: that is asked for with the same
    // question, or waits for the answer to it.
    const isKnown = usable(await this.#load(notary)).length > 0
    if (!isKnown && this.#mayAsk(notary)) await this.#askItself(notary)
    return usable(await this.#load(notary)).map(([keyId, { key, validUntilTs }]) => ({
      server: notary,
      keyId,
      key,
      validUntilTs,
    }))
  }
}

/** Whether a need is met as well as it ever will be: an expired key stays expired. */
function isMet(known: KnownKeys, { keyId, at }: KeyNeed): boolean {
  const key = known.get(keyId)
  return key !== undefined && (key.expired || key.validUntilTs >= at)
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}
