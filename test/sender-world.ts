/**
 * A sender on virtual time, with a database in memory that outlives it, and servers whose answers a
 * test scripts.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { createBackOff } from '../src/federation/back-off.ts'
import { createFederationClient } from '../src/federation/call.ts'
import { createSender } from '../src/federation/sender/sender.ts'
import { type Headers, type HttpClient, HttpFailure } from '../src/io/http.ts'
import { type Log, silentLog } from '../src/io/log.ts'
import { VirtualTime } from '../src/io/simulated/simulated-clock.ts'
import { seededRandom } from '../src/io/simulated/simulated-random.ts'
import { canonicalJson } from '../src/protocol/canonical-json.ts'
import { signingKeyOf } from '../src/protocol/ed25519.ts'
import type { EventId, RoomId, ServerName } from '../src/protocol/identifiers/ids.ts'
import type { JsonObject } from '../src/protocol/json.ts'
import type { DeviceOutboxRow } from '../src/storage/device-outbox.ts'
import { addToOutbox, outboxOf } from '../src/storage/outbox.ts'
import { memoryImage, openSqlite } from '../src/storage/sqlite.ts'

export const us = 'us.test' as ServerName
export const them = 'them.test' as ServerName

export const minuteMs = 60_000

export interface Transaction {
  readonly server: string
  readonly id: string
  readonly atMs: number
  readonly pdus: readonly string[]
  readonly edus: readonly JsonObject[]
}

/** What a server says to a transaction: a status, with a body if it is not the usual one. */
export type Script = (
  transaction: Transaction,
) => number | [status: number, body: string, headers?: Headers] | Promise<number>

/**
 * `onPoint` is told right before and after each commit and each request, and may end the process
 * there, by `kill`.
 */
export async function openSender(
  script: Script,
  image = memoryImage(),
  time = new VirtualTime(),
  onPoint: (point: string) => void = () => {},
) {
  const clock = time.clock()
  const db = await openSqlite({
    image,
    schedule: (act) =>
      queueMicrotask(() => {
        onPoint('before a commit')
        act()
        onPoint('after a commit')
      }),
  })
  const sent: Transaction[] = []
  /** What the sender warned of. */
  const lines: { message: string; fields: Parameters<Log['warn']>[1] }[] = []
  const world = { script, underWay: 0, underWayMax: 0 }
  const httpClient: HttpClient = {
    async request({ hostname, target, body }) {
      const parsed = JSON.parse(Buffer.from(body as Uint8Array).toString())
      assert.equal(canonicalJson(parsed), Buffer.from(body as Uint8Array).toString())
      assert.equal(parsed.origin, us)
      const transaction = {
        server: hostname,
        id: target.split('/').at(-1) ?? '',
        atMs: clock.monotonicMs(),
        pdus: parsed.pdus.map((pdu: { id: string }) => pdu.id),
        edus: parsed.edus ?? [],
      }
      onPoint('before a request')
      if (clock.isStopped) return await new Promise(() => {})
      sent.push(transaction)
      world.underWay += 1
      world.underWayMax = Math.max(world.underWayMax, world.underWay)
      await clock.sleep(10)
      world.underWay -= 1
      const answer = await world.script(transaction)
      onPoint('after a request')
      const [status, text, headers = {}] =
        typeof answer === 'number' ? [answer, '{"pdus":{}}'] : answer
      if (status === 0) throw new HttpFailure('connect', 'nobody there')
      return { status, headers, body: Buffer.from(text) }
    },
    close: async () => {},
  }
  const discovery = {
    targets: async (server: ServerName) => [
      { hostname: server, port: 1, hostHeader: server, tlsName: server },
    ],
  }
  const key = signingKeyOf(new Uint8Array(32).fill(5))
  const signer = { serverName: us, keyId: 'ed25519:k', publicKey: key.publicKey, sign: key.sign }
  const random = seededRandom(image === undefined ? 1 : sent.length + clock.now())
  const backOff = await createBackOff({ db, clock, random, log: silentLog })
  const client = createFederationClient({ clock, signer, httpClient, discovery, backOff })
  const sender = createSender({
    serverName: us,
    db,
    clock,
    random,
    log: { ...silentLog, warn: (message, fields) => lines.push({ message, fields }) },
    client,
    backOff,
    pdusOf: async (_, eventIds) =>
      eventIds
        .filter((eventId) => eventId !== '$lost')
        .map((eventId) => ({ eventId, bytes: Buffer.from(canonicalJson({ id: eventId })) })),
    deviceEdusOf: async (rows) =>
      rows.map(({ kind, user_id, stream }) =>
        kind === 'keys'
          ? undefined
          : Buffer.from(canonicalJson({ content: { stream, user_id }, edu_type: 'm.update' })),
      ),
  })
  let stream = 0
  /** Writes outbox rows as the rooms do, one commit an event, and wakes the sender. */
  const queue = async (
    events: readonly string[],
    options: { room?: string; to?: ServerName[] } = {},
  ) => {
    const destinations = options.to ?? [them]
    for (const eventId of events) {
      stream += 1
      const roomId = (options.room ?? '!r') as RoomId
      await db.write((tx) =>
        addToOutbox(tx, { stream, roomId, eventId: eventId as EventId, destinations }),
      )
    }
    sender.wake(destinations)
  }
  const left = async (server = them) =>
    (await outboxOf(db, server, 1000)).map((row) => row.event_id)
  const nowhere = { destination: '' as ServerName, stream: 0, sub: 0, event_id: '' } as const
  const refused = async (limit = 1000) => await sender.quarantine.list({ after: nowhere, limit })
  const kill = () => {
    clock.stop()
    db.crash()
  }
  return { kill, time, clock, db, sent, lines, world, backOff, sender, queue, left, refused, image }
}

export function ids(count: number, prefix = '$e'): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}${index}`)
}

/** What waits for devices of another server: a message, or that something is new. */
export const deviceRow = (
  stream: number,
  kind: DeviceOutboxRow['kind'] = 'message',
): Omit<DeviceOutboxRow, 'refusals'> => ({
  stream,
  sub: 0,
  kind,
  user_id: '@a:us.test',
  edu_json: kind === 'message' ? `{"content":{"n":${stream}},"edu_type":"m.d"}` : null,
})
