/**
 * We as a notary: what other servers say of their keys, with our signature beside theirs.
 *
 * Anybody may ask, without saying who they are. So only a few servers are asked anew for one
 * question, and never so many at a time that our own look-ups would have to wait.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#querying-keys-through-another-server
 *
 * @module
 */

import type { Clock } from '#io/clock.ts'
import { Limiter } from '#io/limiter.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import { parseServerName } from '#protocol/identifiers/server-name.ts'
import { isJsonObject, type JsonObject } from '#protocol/json.ts'
import { readJson } from '#protocol/json-reader.ts'
import { signJson } from '#protocol/signatures.ts'
import type { Signer } from '#rooms/remote-servers.ts'
import type { ServerKeyRow } from '#storage/server-keys.ts'
import type { ArchivingKeyring } from './server-keys.ts'

export interface NotaryNeeds {
  readonly keyring: Pick<ArchivingKeyring, 'stored' | 'refresh'>
  readonly signer: Signer
  readonly clock: Clock
  readonly ownKeys: () => JsonObject
}

/** What is asked of one server's keys. */
export interface NotaryQuestion {
  readonly server: string
  /** The keys asked for, each with the time until which it should be valid; none for all keys. */
  readonly keys: ReadonlyMap<string, number | undefined>
  /** The same for all keys, where none is named. */
  readonly minimumValidUntilTs?: number | undefined
}

export interface Notary {
  /** The servers' own answers, as far as they are known, signed by us in addition. */
  answer(questions: readonly NotaryQuestion[]): Promise<JsonObject[]>
}

/** How many servers one request may ask about; the rest is not looked at. */
const serversMax = 1000
/** How many servers are asked anew for one request. */
const refreshedMax = 20
/** How many servers are asked anew at the same time for all requests. */
const refreshingMax = 10
/** How many servers wait to be asked; of no more are the answers made anew. */
const waitingMax = 200
/** How many answers of one server are given: one, and one for each key it dropped without a word. */
const answersMax = 5

export function createNotary(needs: NotaryNeeds): Notary {
  const limiter = new Limiter(refreshingMax, 'questions of a notary')
  return {
    async answer(questions) {
      let refreshesLeft = refreshedMax
      const mayRefresh = () => {
        refreshesLeft -= 1
        return refreshesLeft >= 0 && limiter.waiting < waitingMax
      }
      const answers = await Promise.all(
        questions.slice(0, serversMax).map((one) => answerOne(needs, one, { limiter, mayRefresh })),
      )
      return answers.flat()
    },
  }
}

async function answerOne(
  { keyring, signer, clock, ownKeys }: NotaryNeeds,
  question: NotaryQuestion,
  refreshing: { readonly limiter: Limiter; readonly mayRefresh: () => boolean },
): Promise<JsonObject[]> {
  const server = parseServerName(question.server)
  if (server === undefined) return []
  if (server === signer.serverName) return [ownKeys()]
  let rows = await keyring.stored(server)
  // If not supplied, the notary server MUST use the current time.
  if (isLacking(rows, question, clock.now()) && refreshing.mayRefresh()) {
    await refreshing.limiter.run(() => keyring.refresh(server))
    rows = await keyring.stored(server)
  }
  const wanted = rows.filter((row) => question.keys.size === 0 || question.keys.has(row.key_id))
  const responses = new Set(wanted.map((row) => row.response_json))
  return [...responses].slice(0, answersMax).flatMap((text) => signed(text, server, signer))
}

/** Whether the server should be asked anew: a key is not known, or not for long enough. */
function isLacking(
  rows: readonly ServerKeyRow[],
  { keys, minimumValidUntilTs }: NotaryQuestion,
  now: number,
): boolean {
  const current = rows.filter((row) => row.expired === 0)
  if (keys.size === 0) {
    const until = minimumValidUntilTs ?? now
    return !current.some((row) => row.valid_until_ts >= until)
  }
  return [...keys].some(([keyId, until]) => {
    const row = rows.find((one) => one.key_id === keyId)
    return row === undefined || (row.expired === 0 && row.valid_until_ts < (until ?? now))
  })
}

function signed(text: string, server: ServerName, signer: Signer): JsonObject[] {
  const read = readJson(Buffer.from(text), 'raw')
  if (!read.ok || !isJsonObject(read.value) || read.value.server_name !== server) return []
  return [signJson(read.value, signer)]
}
