/**
 * Events that other servers push: each server sends its transactions one after the other, as the spec
 * wants, and the clock stops when a client has seen the last event of each room come by `/sync`.
 *
 * @module
 */

import type { Pdu } from '#protocol/pdu.ts'
import { Client } from '../../test/rig/client.ts'
import type { PeerRoom } from '../peer/peer-room.ts'
import type { PeerServer } from '../peer/peer-server.ts'
import { Push, signTransactions, type Transaction } from '../peer/transactions.ts'
import {
  type Bench,
  checkAllThere,
  measureEvents,
  repeat,
  type Sample,
  untilSeen,
  type Workload,
  withPeers,
} from '../workload.ts'

export const inboundOne = inbound('inbound-one', {
  about: 'events pushed by one server into one room',
  rooms: 1,
  events: { hansa: 10_000, synapse: 500 },
})

export const inboundTwenty = inbound('inbound-twenty', {
  about: 'events pushed by twenty servers at once, each into a room of its own',
  rooms: 20,
  events: { hansa: 20_000, synapse: 1000 },
})

function inbound(
  name: string,
  plan: { about: string; rooms: number; events: { hansa: number; synapse: number } },
): Workload {
  return {
    name,
    about: plan.about,
    run: (bench) =>
      withPeers(bench, plan.rooms, async (peers) => {
        const client = await Client.register(bench.subject.baseUrl, 'reader')
        const events = bench.sizes.events ?? plan.events[bench.subject.kind]
        const perRoom = Math.ceil(events / plan.rooms)
        return await repeat(bench, {
          warmUp: () => pushInto(bench, { client, peers, perRoom: Math.ceil(perRoom / 4) }),
          once: () => pushInto(bench, { client, peers, perRoom }),
          times: bench.subject.kind === 'hansa' ? 5 : 3,
        })
      }),
  }
}

/** What one server pushes into one room. */
interface Lane {
  readonly room: PeerRoom
  readonly pdus: readonly Pdu[]
  readonly transactions: readonly Transaction[]
  readonly push: Push
}

async function pushInto(
  bench: Bench,
  plan: { client: Client; peers: readonly PeerServer[]; perRoom: number },
): Promise<Sample> {
  const { client, peers, perRoom } = plan
  const lanes: Lane[] = []
  for (const peer of peers) lanes.push(await prepareLane(bench, { client, peer, events: perRoom }))
  const last = new Set(lanes.map(({ room }) => room.last.event_id))
  await client.sync()
  const sample = await measureEvents(bench, perRoom * lanes.length, async () => {
    if (bench.subject.kind === 'synapse') {
      await pushInTurns(client, lanes)
      return
    }
    await Promise.all(lanes.map(({ push, transactions }) => push.pushAll(transactions)))
    await untilSeen(client, last)
  })
  for (const { room, pdus, push } of lanes) {
    await push.close()
    const ids = pdus.map(({ event_id }) => event_id)
    await checkAllThere(client, room.roomId, ids)
    await client.leave(room.roomId)
  }
  return sample
}

/**
 * Synapse answers before it has taken the events in, and throws away what waits in a room when that is
 * more than a hundred. So it is given the next transactions when a client has seen the ones before.
 */
async function pushInTurns(client: Client, lanes: readonly Lane[]): Promise<void> {
  const most = Math.max(...lanes.map(({ transactions }) => transactions.length))
  for (let turn = 0; turn < most; turn += 1) {
    const ends = new Set<string>()
    await Promise.all(
      lanes.map(async ({ push, pdus, transactions }) => {
        const transaction = transactions[turn]
        if (transaction === undefined) return
        const before = transactions.slice(0, turn + 1).reduce((sum, { count }) => sum + count, 0)
        ends.add(pdus[before - 1]?.event_id ?? '')
        await push.pushAll([transaction])
      }),
    )
    await untilSeen(client, ends)
  }
}

/** A room with our client in it, and messages into it that are ready to be pushed. */
async function prepareLane(
  { subject, version, authority }: Bench,
  { client, peer, events }: { client: Client; peer: PeerServer; events: number },
): Promise<Lane> {
  const room = peer.createRoom(version)
  await client.join(room.roomId, [peer.serverName])
  const pdus = Array.from({ length: events }, () => room.addMessage())
  const transactions = signTransactions(peer.signer, subject.serverName, pdus)
  return { room, pdus, transactions, push: new Push(subject.serverName, authority.cert) }
}
