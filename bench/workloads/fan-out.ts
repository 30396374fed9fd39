/**
 * Messages of a local user in a room of a thousand servers: the clock stops when each of them has been
 * sent the last one. An event of the measure is one delivery.
 *
 * @module
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from '../../test/rig/client.ts'
import type { PeerServer } from '../peer/peer-server.ts'
import {
  type Bench,
  measureEvents,
  repeat,
  type Sample,
  type Workload,
  withPeers,
} from '../workload.ts'

const servers = 1000
/** How many messages are sent, one after the other. */
const messages = 10

export const fanOut: Workload = {
  name: 'fan-out',
  about: 'deliveries of messages of a local user to a thousand other servers',
  run: (bench) => {
    const count = bench.sizes.members ?? servers
    return withPeers(bench, count, async (peers) => {
      const client = await Client.register(bench.subject.baseUrl, 'fan-out-sender')
      const [resident, ...others] = peers
      const room = resident.createRoom(bench.version)
      for (const other of others) room.addMemberOf(other.signer)
      resident.prepareJoin(room)
      await client.join(room.roomId, [resident.serverName])
      const { roomId } = room
      return await repeat(bench, {
        // Servers are looked up and connected to once.
        warmUp: () => sendAll(bench, { client, peers, roomId, sends: 2 }),
        once: () => sendAll(bench, { client, peers, roomId, sends: messages }),
        times: 3,
      })
    })
  },
}

async function sendAll(
  bench: Bench,
  plan: { client: Client; peers: readonly PeerServer[]; roomId: string; sends: number },
): Promise<Sample> {
  const { client, peers, roomId, sends } = plan
  for (const peer of peers) peer.received.clear()
  return await measureEvents(bench, sends * peers.length, async () => {
    for (let count = 0; count < sends; count += 1) await client.send(roomId, `message ${count}`)
    const left = new Set(peers)
    while (left.size > 0) {
      for (const peer of left) if (peer.received.size >= sends) left.delete(peer)
      await sleep(20)
    }
  })
}
