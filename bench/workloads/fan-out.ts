/**
 * Messages of a local user in a room of a thousand servers: the clock stops when each of them has been
 * sent the last one. An event of the measure is one delivery.
 *
 * What that leaves in memory is looked at with many more messages, while half of the servers do not
 * answer, so that what is for them has to wait; and once more when they have answered at last.
 *
 * @module
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from '../../test/rig/client.ts'
import { HeapProbe } from '../heap-probe.ts'
import { memoryOf, observe } from '../machine.ts'
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
/** How many are sent where it is looked at what they leave in memory, and how often that is. */
const manyMessages = 200
const looks = 4

export const fanOut: Workload = {
  name: 'fan-out',
  about: 'deliveries of messages of a local user to a thousand other servers',
  run: (bench) =>
    inWideRoom(bench, 'fan-out-sender', (room) =>
      repeat(bench, {
        // Servers are looked up and connected to once.
        warmUp: () => sendAll(bench, room, 2),
        once: () => sendAll(bench, room, messages),
        times: 3,
      }),
    ),
}

export const fanOutMemory: Workload = {
  name: 'fan-out-memory',
  about:
    'what 200 messages to a thousand servers leave in memory, half of which are down; Hansa alone',
  asksHeap: true,
  run: async (bench) =>
    bench.subject.kind === 'hansa'
      ? await inWideRoom(bench, 'many-sender', (room) => memoryOfMany(bench, room))
      : [],
}

interface WideRoom {
  readonly client: Client
  readonly roomId: string
  readonly peers: readonly PeerServer[]
}

/** A room in which a local user is with a member of each of many servers. */
async function inWideRoom<T>(
  bench: Bench,
  sender: string,
  run: (room: WideRoom) => Promise<T>,
): Promise<T> {
  return await withPeers(bench, bench.sizes.members ?? servers, async (peers) => {
    const client = await Client.register(bench.subject.baseUrl, sender)
    const [resident, ...others] = peers
    const room = resident.createRoom(bench.version)
    for (const other of others) room.addMemberOf(other.signer)
    resident.prepareJoin(room)
    await client.join(room.roomId, [resident.serverName])
    return await run({ client, peers, roomId: room.roomId })
  })
}

async function sendAll(bench: Bench, room: WideRoom, sends: number): Promise<Sample> {
  for (const peer of room.peers) peer.received.clear()
  return await measureEvents(bench, sends * room.peers.length, async () => {
    await say(room, sends)
    await untilReceived(room.peers, sends)
  })
}

async function say({ client, roomId }: WideRoom, sends: number): Promise<void> {
  for (let count = 0; count < sends; count += 1) await client.send(roomId, `message ${count}`)
}

async function untilReceived(peers: Iterable<PeerServer>, sends: number): Promise<void> {
  const left = new Set(peers)
  while (left.size > 0) {
    for (const peer of left) if (peer.received.size >= sends) left.delete(peer)
    await sleep(20)
  }
}

async function memoryOfMany(bench: Bench, room: WideRoom): Promise<Sample[]> {
  const { subject, sizes } = bench
  const probe = await HeapProbe.open(subject.log())
  const bytesHeld = () => probe.heldBytes()
  await sendAll(bench, room, messages)
  for (const peer of room.peers) peer.received.clear()
  // Half are there. Of the others one half takes what is sent and says nothing, the other hangs up.
  const away = room.peers.filter((_, place) => place % 2 === 1)
  const there = room.peers.filter((_, place) => place % 2 === 0)
  for (const [place, peer] of away.entries())
    peer.leaves(place % 2 === 0 ? 'in silence' : 'for good')
  const perLook = Math.ceil((sizes.events ?? manyMessages) / looks)
  const held: number[] = []
  const resident: number[] = []
  let sent = 0
  const look = async () => {
    held.push(await bytesHeld())
    resident.push(memoryOf(subject.pid).nowMiB)
  }
  const sayOn = async (count: number) => {
    // Each is waited for, so that each is a transaction of its own.
    for (let left = count; left > 0; left -= 1) {
      await say(room, 1)
      sent += 1
      await untilReceived(there, sent)
    }
  }
  const bytesBefore = await subject.databaseBytes()
  const { workedMs, othersBusy } = await observe(subject.pid, async () => {
    await sayOn(1)
    await look()
    for (let left = looks; left > 0; left -= 1) {
      await sayOn(perLook)
      await look()
    }
  })
  const waiting = away.length * sent
  const bytesAfter = await subject.databaseBytes()
  for (const peer of away) peer.returns()
  await untilReceived(away, sent)
  const afterAll = await bytesHeld()
  probe.close()
  const [first = 0, second = 0] = held
  const last = held.at(-1) ?? 0
  const mebibytes = 1024 * 1024
  return [
    {
      'MiB held, 1st message': first / mebibytes,
      'MiB held, last message': last / mebibytes,
      'MiB held, all delivered': afterAll / mebibytes,
      'bytes held/delivery': (last - second) / ((looks - 1) * perLook * room.peers.length),
      'MiB after 1st message': resident[0] ?? 0,
      'CPU ms/event': workedMs / (sent * room.peers.length),
      'bytes/event': (bytesAfter - bytesBefore) / waiting,
      'others busy': othersBusy,
    },
  ]
}
