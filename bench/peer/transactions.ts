/**
 * Transactions of a scripted server: signed ahead, and pushed one after the other as the spec wants
 * of a server.
 *
 * @module
 */

import { Pool } from 'undici'
import { authorizationOf } from '#federation/request-signing.ts'
import { canonicalJson } from '#protocol/canonical-json.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import type { Pdu } from '#protocol/pdu.ts'
import type { Signer } from '#rooms/remote-servers.ts'
import { between } from './peer-server.ts'

/** The most that the spec allows. */
const pdusPerTransaction = 50

export interface Transaction {
  readonly path: string
  readonly authorization: string
  readonly body: Buffer
  readonly count: number
}

let transactions = 0

/** The events in transactions to `destination`. */
export function signTransactions(
  signer: Signer,
  destination: ServerName,
  pdus: readonly Pdu[],
): Transaction[] {
  const signed: Transaction[] = []
  for (let at = 0; at < pdus.length; at += pdusPerTransaction) {
    signed.push(signTransaction(signer, destination, pdus.slice(at, at + pdusPerTransaction)))
  }
  return signed
}

function signTransaction(
  signer: Signer,
  destination: ServerName,
  pdus: readonly Pdu[],
): Transaction {
  transactions += 1
  const path = `/_matrix/federation/v1/send/${Date.now()}-${transactions}`
  const start = `{"origin":"${signer.serverName}","origin_server_ts":${Date.now()},"pdus":[`
  const events = between(pdus.map(({ bytes }) => bytes))
  const body = Buffer.concat([Buffer.from(start), ...events, Buffer.from(']}')])
  const request = { method: 'PUT', target: path, destination, content: body }
  return { path, authorization: authorizationOf(signer, request), body, count: pdus.length }
}

/** The most that the spec allows. */
const edusPerTransaction = 100

/** The EDUs in transactions to `destination`. */
export function signEdus(
  signer: Signer,
  destination: ServerName,
  edus: readonly object[],
): Transaction[] {
  const signed: Transaction[] = []
  for (let at = 0; at < edus.length; at += edusPerTransaction) {
    transactions += 1
    const path = `/_matrix/federation/v1/send/${Date.now()}-${transactions}`
    const some = edus.slice(at, at + edusPerTransaction)
    const origin = signer.serverName
    const body = Buffer.from(
      canonicalJson({ origin, origin_server_ts: Date.now(), pdus: [], edus: some as never }),
    )
    const request = { method: 'PUT', target: path, destination, content: body }
    signed.push({ path, authorization: authorizationOf(signer, request), body, count: 0 })
  }
  return signed
}

/** One server's connection to another. */
export class Push {
  readonly #pool: Pool

  constructor(destination: ServerName, ca: string) {
    this.#pool = new Pool(`https://${destination}`, {
      connections: 1,
      connect: { ca },
      headersTimeout: 600_000,
      bodyTimeout: 600_000,
    })
  }

  /** Pushes all of them in their order, each when the one before is answered. */
  async pushAll(all: readonly Transaction[]): Promise<void> {
    for (const transaction of all) await this.#push(transaction)
  }

  async #push({ path, authorization, body, count }: Transaction): Promise<void> {
    const headers = { authorization, 'content-type': 'application/json' }
    const answer = await this.#pool.request({ path, method: 'PUT', headers, body })
    const text = await answer.body.text()
    if (answer.statusCode !== 200) throw new Error(`/send: ${answer.statusCode} ${text}`)
    const results = Object.values<{ error?: string }>(JSON.parse(text).pdus)
    const refused = results.find(({ error }) => error !== undefined)
    if (refused || results.length !== count) throw new Error(`/send refused events: ${text}`)
  }

  async close(): Promise<void> {
    await this.#pool.close()
  }
}
