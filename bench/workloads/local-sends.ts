/**
 * Events that the server's own users send. Each client sends its next one when the one before is
 * answered, which a server does when the event is safely stored.
 *
 * @module
 */

import { Pool } from 'undici'
import { Client } from '../../test/rig/client.ts'
import { quantile } from '../statistics.ts'
import {
  type Bench,
  checkAllThere,
  measureEvents,
  repeat,
  type Sample,
  type Workload,
} from '../workload.ts'

export const localSends = sends('local-sends', {
  about: 'events sent by twenty clients at once into one room',
  clients: 20,
  rooms: 1,
})

export const localSendsFive = sends('local-sends-five', {
  about: 'events sent by five clients at once into one room, each notifying the four others',
  clients: 5,
  rooms: 1,
})

export const localSendsAlone = sends('local-sends-alone', {
  about: 'events sent by one client into one room',
  clients: 1,
  rooms: 1,
})

export const localSendsTwenty = sends('local-sends-twenty', {
  about: 'events sent by twenty clients at once, each into a room of its own',
  clients: 20,
  rooms: 20,
})

function sends(
  name: string,
  { about, clients, rooms }: { about: string; clients: number; rooms: number },
): Workload {
  return {
    name,
    about,
    run: async (bench) => {
      const isHansa = bench.subject.kind === 'hansa'
      const events = bench.sizes.events ?? (isHansa ? 5000 : 300)
      const senders = await prepareSenders(bench, clients, rooms)
      const pool = new Pool(bench.subject.baseUrl, { connections: clients })
      const samples = await repeat(bench, {
        warmUp: () => sendAll(bench, { senders, pool, events: Math.ceil(events / 4) }),
        once: () => sendAll(bench, { senders, pool, events }),
        times: isHansa ? 5 : 3,
      })
      await pool.close()
      return samples
    },
  }
}

interface Sender {
  readonly client: Client
  readonly roomId: string
}

/** Users of the server under test, spread over as many rooms. */
async function prepareSenders(
  { subject, version }: Bench,
  clients: number,
  rooms: number,
): Promise<Sender[]> {
  const roomIds: string[] = []
  const senders: Sender[] = []
  for (let index = 0; index < clients; index++) {
    const client = await Client.register(subject.baseUrl, `sender${index}`)
    const options = { preset: 'public_chat', room_version: version.id }
    if (index < rooms) roomIds.push(await client.createRoom(options))
    const roomId = roomIds[index % rooms] ?? ''
    if (index >= rooms) await client.join(roomId)
    senders.push({ client, roomId })
  }
  return senders
}

const body = JSON.stringify({ msgtype: 'm.text', body: 'lorem ipsum dolor sit amet '.repeat(14) })

async function sendAll(
  bench: Bench,
  { senders, pool, events }: { senders: readonly Sender[]; pool: Pool; events: number },
): Promise<Sample> {
  const latencies: number[] = []
  const sent = new Map<Sender, string[]>(senders.map((sender) => [sender, []]))
  let left = events
  const sendOn = async (sender: Sender) => {
    while (left-- > 0) {
      const start = performance.now()
      sent.get(sender)?.push(await send(pool, sender))
      latencies.push(performance.now() - start)
    }
  }
  const sample = await measureEvents(bench, events, async () => {
    await Promise.all(senders.map(sendOn))
  })
  await checkSent(sent)
  return { ...sample, 'p50 ms': quantile(latencies, 0.5), 'p99 ms': quantile(latencies, 0.99) }
}

let transactions = 0

async function send(pool: Pool, { client, roomId }: Sender): Promise<string> {
  transactions += 1
  const room = encodeURIComponent(roomId)
  const answer = await pool.request({
    path: `/_matrix/client/v3/rooms/${room}/send/m.room.message/${transactions}`,
    method: 'PUT',
    headers: { authorization: `Bearer ${client.token}`, 'content-type': 'application/json' },
    body,
  })
  const text = await answer.body.text()
  if (answer.statusCode !== 200) throw new Error(`send: ${answer.statusCode} ${text}`)
  return JSON.parse(text).event_id
}

async function checkSent(sent: ReadonlyMap<Sender, readonly string[]>): Promise<void> {
  const byRoom = Map.groupBy(sent, ([{ roomId }]) => roomId)
  for (const [roomId, ofRoom] of byRoom) {
    const [first] = ofRoom
    const eventIds = ofRoom.flatMap(([, ids]) => ids)
    if (first) await checkAllThere(first[0].client, roomId, eventIds)
  }
}
