/**
 * Joining a large room of another server: from the client's request to its answer, and how long the
 * server answers nobody else meanwhile. The other server's answers are ready-made.
 *
 * @module
 */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client, eventually } from '../../test/rig/client.ts'
import { workedMs } from '../machine.ts'
import type { PeerRoom } from '../peer/peer-room.ts'
import type { PeerServer } from '../peer/peer-server.ts'
import { longestStallMs } from '../stall-probe.ts'
import { Subject } from '../subject.ts'
import {
  type Bench,
  measureEvents,
  repeat,
  type Sample,
  type Workload,
  withPeers,
} from '../workload.ts'

export const joins: readonly Workload[] = [
  joinWhole('join-1k', { members: 1000, times: { hansa: 5, synapse: 3 } }),
  joinWhole('join-5k', { members: 5000, times: { hansa: 5, synapse: 3 } }),
  joinWhole('join-20k', { members: 20_000, times: { hansa: 3, synapse: 1 } }),
  joinLater('join-20k-later', { members: 20_000, times: { hansa: 3, synapse: 1 } }),
  joinLaterFromHansa('join-20k-hansa', { members: 20_000, times: { hansa: 3, synapse: 1 } }),
]

interface Plan {
  readonly members: number
  readonly times: { readonly hansa: number; readonly synapse: number }
}

function joinWhole(name: string, plan: Plan): Workload {
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

/** The members are left out of the answer, and come later. */
function joinLater(name: string, { members, times }: Plan): Workload {
  return {
    name,
    about: `the join of a room of ${members} members that are left out, through another server`,
    run: (bench) =>
      withPeers(bench, 1, async ([peer]) => {
        const client = await Client.register(bench.subject.baseUrl, 'joiner')
        const size = bench.sizes.members ?? members
        const once = async (count: number) => {
          const room = peer.createRoom(bench.version, count, { omits: true })
          const last = `@user${count - 1}:${peer.serverName}`
          const join = { client, room, via: peer.serverName, last, members: count + 2 }
          const sample = await joinAndComplete(bench, join)
          peer.forgetRoom(room.roomId)
          return sample
        }
        return await repeat(bench, {
          warmUp: () => once(Math.ceil(size / 20)),
          once: () => once(size),
          times: times[bench.subject.kind],
        })
      }),
  }
}

/** The same, with a Hansa that has joined before as the resident. */
function joinLaterFromHansa(name: string, { members, times }: Plan): Workload {
  return {
    name,
    about: `the join of a room of ${members} members through a Hansa`,
    run: (bench) =>
      withPeers(bench, 1, async ([peer]) => {
        const folder = mkdtempSync(join(tmpdir(), 'hansa-resident-'))
        const { authority } = bench
        const resident = await Subject.start('hansa', { folder, authority, host: '127.0.0.23' })
        try {
          const host = await Client.register(resident.baseUrl, 'host')
          const client = await Client.register(bench.subject.baseUrl, 'joiner')
          const size = bench.sizes.members ?? members
          const once = async (count: number) => {
            const room = peer.createRoom(bench.version, count)
            room.add(room.creator, 'm.room.name', { name: 'The Hall' }, '')
            await host.join(room.roomId, [peer.serverName])
            const last = `@user${count - 1}:${peer.serverName}`
            const via = resident.serverName
            const before = workedMs(resident.pid)
            const sample = await joinAndComplete(bench, {
              ...{ client, room, via, last, members: count + 3 },
            })
            const served = workedMs(resident.pid) - before
            peer.forgetRoom(room.roomId)
            return { ...sample, 'served CPU ms': served }
          }
          return await repeat(bench, {
            warmUp: () => once(Math.ceil(size / 20)),
            once: () => once(size),
            times: times[bench.subject.kind],
          })
        } finally {
          await resident.end()
          rmSync(folder, { recursive: true, force: true })
        }
      }),
  }
}

/** Joins, sends an event, and waits until a member is known who was left out. */
async function joinAndComplete(
  bench: Bench,
  about: {
    readonly client: Client
    readonly room: PeerRoom
    readonly via: string
    readonly last: string
    readonly members: number
  },
): Promise<Sample> {
  const { client, room, via, last, members } = about
  const { roomId } = room
  let joinMs = 0
  let wholeMs = 0
  let stallMs = 0
  const sample = await measureEvents(bench, members, async () => {
    stallMs = await longestStallMs(bench.subject.baseUrl, async () => {
      const start = performance.now()
      await client.join(roomId, [via])
      joinMs = performance.now() - start
      await client.send(roomId, 'here I am')
      await eventually(
        'all members are known',
        async () => (await client.membership(roomId, last)) === 'join',
        600_000,
      )
      wholeMs = performance.now() - start
    })
  })
  await checkMembers(client, roomId, members)
  await client.leave(roomId)
  const { 'bytes/event': bytes, 'CPU ms/event': cpu, 'others busy': others } = sample
  return {
    'join s': joinMs / 1000,
    'whole s': wholeMs / 1000,
    'longest stall ms': stallMs,
    ...(cpu === undefined ? {} : { 'CPU ms/event': cpu }),
    ...(bytes === undefined ? {} : { 'bytes/event': bytes }),
    ...(others === undefined ? {} : { 'others busy': others }),
  }
}
