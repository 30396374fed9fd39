/**
 * Joining a large room of another server: from the client's request to its answer, and how long the
 * server answers nobody else meanwhile. The other server's answers are ready-made.
 *
 * @module
 */

import { Client } from '../../test/rig/client.ts'
import type { PeerServer } from '../peer/peer-server.ts'
import { longestStallMs } from '../stall-probe.ts'
import {
  type Bench,
  measureEvents,
  repeat,
  type Sample,
  type Workload,
  withPeers,
} from '../workload.ts'

export const joins: readonly Workload[] = [
  join('join-1k', { members: 1000, times: { hansa: 5, synapse: 3 } }),
  join('join-5k', { members: 5000, times: { hansa: 5, synapse: 3 } }),
  join('join-20k', { members: 20_000, times: { hansa: 3, synapse: 1 } }),
]

function join(
  name: string,
  plan: { members: number; times: { hansa: number; synapse: number } },
): Workload {
  const { members, times } = plan
  return {
    name,
    about: `the join of a room of ${members} members, through another server`,
    run: (bench) =>
      withPeers(bench, 1, async ([peer]) => {
        const client = await Client.register(bench.subject.baseUrl, 'joiner')
        const size = bench.sizes.members ?? members
        return await repeat(bench, {
          warmUp: () => joinOnce(bench, { client, peer, members: Math.ceil(size / 20) }),
          once: () => joinOnce(bench, { client, peer, members: size }),
          times: times[bench.subject.kind],
        })
      }),
  }
}

async function joinOnce(
  bench: Bench,
  { client, peer, members }: { client: Client; peer: PeerServer; members: number },
): Promise<Sample> {
  const room = peer.createRoom(bench.version, members)
  let joinMs = 0
  let stallMs = 0
  const sample = await measureEvents(bench, members, async () => {
    stallMs = await longestStallMs(bench.subject.baseUrl, async () => {
      const start = performance.now()
      await client.join(room.roomId, [peer.serverName])
      joinMs = performance.now() - start
    })
  })
  await checkMembers(client, room.roomId, members + 2)
  await client.leave(room.roomId)
  peer.forgetRoom(room.roomId)
  const { 'bytes/event': bytes, 'CPU ms/event': cpu, 'others busy': others } = sample
  return {
    'join s': joinMs / 1000,
    'longest stall ms': stallMs,
    ...(cpu === undefined ? {} : { 'CPU ms/event': cpu }),
    ...(bytes === undefined ? {} : { 'bytes/event': bytes }),
    ...(others === undefined ? {} : { 'others busy': others }),
  }
}

async function checkMembers(client: Client, roomId: string, expected: number): Promise<void> {
  const path = `/v3/rooms/${encodeURIComponent(roomId)}/joined_members`
  const { joined } = await client.call('GET', path)
  const found = Object.keys(joined as object).length
  if (found !== expected) throw new Error(`${found} members are in the room, not ${expected}`)
}
