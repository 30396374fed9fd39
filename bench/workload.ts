/**
 * What a workload is, and what all of them need.
 *
 * @module
 */

import type { Certificate } from '#io/certificates.ts'
import type { RoomVersion } from '#protocol/room-version.ts'
import { Client, eventually } from '../test/rig/client.ts'
import { observe } from './machine.ts'
import { PeerServer } from './peer/peer-server.ts'
import type { Kind, Subject } from './subject.ts'

/** What was measured in one repetition, by the name of the measure. */
export type Sample = Readonly<Partial<Record<Measure, number>>>

/** All that is measured, and which way is better. */
export const measures = {
  'events/s': 'more',
  'CPU ms/event': 'less',
  'p50 ms': 'less',
  'p99 ms': 'less',
  'join s': 'less',
  /** From the join until all members are known. */
  'whole s': 'less',
  /** What a resident works to give a room to who joins. */
  'served CPU ms': 'less',
  'longest stall ms': 'less',
  'bytes/event': 'less',
  'start s': 'less',
  /** From a start on a store that nobody has looked through yet, to the first answer. */
  'first start s': 'less',
  /** From there until all events can be searched. */
  'indexed per s': 'more',
  /** From the start after a kill to the first answer. */
  'restart s': 'less',
  'restart CPU s': 'less',
  /** From there until a client has seen the last of what was pushed. */
  'seen s': 'less',
  /** From there until nothing waits to be done. */
  'caught up s': 'less',
  'doctor s': 'less',
  'doctor MiB': 'less',
  /** From a start on an older Hansa's store to the first answer. */
  'from older s': 'less',
  'from older CPU s': 'less',
  'older MiB': undefined,
  'idle MiB': 'less',
  /** While all of them wait. */
  'MiB waiting': 'less',
  'KiB/poll': 'less',
  'MiB held, waiting': 'less',
  'bytes held/poll': 'less',
  /** What is held by objects and buffers when the heap has been cleaned up. */
  'MiB held, 1st message': 'less',
  'MiB held, last message': 'less',
  'MiB held, all delivered': 'less',
  /** How much that grows from when all connections are made to the last message. */
  'bytes held/delivery': 'less',
  'MiB after 1st message': 'less',
  'MiB after': 'less',
  'peak MiB': 'less',
  /** Processors that other programs kept busy meanwhile. */
  'others busy': undefined,
} as const satisfies Record<string, 'more' | 'less' | undefined>

export type Measure = keyof typeof measures

/** How much is done. What is not said is as much as fits the server. */
export interface Sizes {
  readonly events?: number | undefined
  readonly members?: number | undefined
  readonly repetitions?: number | undefined
}

/** What a workload works with. */
export interface Bench {
  readonly subject: Subject
  readonly authority: Certificate
  readonly version: RoomVersion
  readonly sizes: Sizes
  /** Where progress is told. */
  tell(line: string): void
}

export interface Workload {
  readonly name: string
  readonly about: string
  /** Whether Hansa is to be started so that it can be asked what its heap holds. */
  readonly asksHeap?: true
  run(bench: Bench): Promise<Sample[]>
}

/** Does something several times. What comes first is warm-up and is not counted. */
export async function repeat(
  { sizes }: Bench,
  { warmUp, once, times }: Repetition,
): Promise<Sample[]> {
  await warmUp()
  const samples: Sample[] = []
  for (let left = sizes.repetitions ?? times; left > 0; left--) samples.push(await once())
  return samples
}

interface Repetition {
  readonly warmUp: () => Promise<unknown>
  readonly once: () => Promise<Sample>
  readonly times: number
}

/** Puts `events` events into the server by `run`, which ends when the last one can be read. */
export async function measureEvents(
  { subject }: Bench,
  events: number,
  run: () => Promise<void>,
): Promise<Sample> {
  const bytesBefore = await subject.databaseBytes()
  const { elapsedMs, workedMs, othersBusy } = await observe(subject.pid, run)
  return {
    'events/s': (events * 1000) / elapsedMs,
    'CPU ms/event': workedMs / events,
    'bytes/event': ((await subject.databaseBytes()) - bytesBefore) / events,
    'others busy': othersBusy,
  }
}

/** Of a thing that one local user and one scripted server do, as much as suits the server. */
interface Exchange {
  readonly user: string
  readonly events: Readonly<Record<Kind, number>>
  /** What part of them warms up. */
  readonly warmUp: number
  readonly times: Readonly<Record<Kind, number>>
  run(
    bench: Bench,
    with_: { readonly client: Client; readonly peer: PeerServer; readonly events: number },
  ): Promise<Sample>
}

/** Repeats what a local user and a scripted server do together. */
export async function repeatExchange(
  bench: Bench,
  { user, events: sizes, warmUp, times, run }: Exchange,
): Promise<Sample[]> {
  const { kind, baseUrl } = bench.subject
  return await withPeers(bench, 1, async ([peer]) => {
    const client = await Client.register(baseUrl, user)
    const events = bench.sizes.events ?? sizes[kind]
    return await repeat(bench, {
      warmUp: () => run(bench, { client, peer, events: Math.ceil(events * warmUp) }),
      once: () => run(bench, { client, peer, events }),
      times: times[kind],
    })
  })
}

let peers = 0

/** Runs something with scripted servers, each with a name and a key of its own. */
export async function withPeers<T>(
  { authority }: Bench,
  count: number,
  run: (peers: readonly [PeerServer, ...PeerServer[]]) => Promise<T>,
): Promise<T> {
  const start = () => PeerServer.start('127.0.0.22', authority, 1 + (peers++ % 255))
  const first = await start()
  const others = await Promise.all(Array.from({ length: count - 1 }, start))
  try {
    return await run([first, ...others])
  } finally {
    await Promise.all([first, ...others].map((peer) => peer.close()))
  }
}

const filter = encodeURIComponent('{"room":{"timeline":{"limit":10}}}')

/** Waits until a client sees all these events come by `/sync`. */
export async function untilSeen(client: Client, eventIds: ReadonlySet<string>): Promise<void> {
  const left = new Set(eventIds)
  await eventually(
    'the last events are seen',
    async () => {
      const answer = await client.sync(1000, `&filter=${filter}`)
      for (const id of timelineIds(answer)) left.delete(id)
      return left.size === 0
    },
    600_000,
  )
}

interface SyncedRooms {
  readonly join?: Readonly<
    Record<string, { readonly timeline?: { readonly events: readonly { event_id: string }[] } }>
  >
}

function timelineIds({ rooms }: Record<string, unknown>): string[] {
  const joined = Object.values((rooms as SyncedRooms | undefined)?.join ?? {})
  return joined.flatMap(({ timeline }) => timeline?.events.map(({ event_id }) => event_id) ?? [])
}

/** Throws unless the newest events of a room are these, as a client reads them. */
export async function checkAllThere(
  client: Client,
  roomId: string,
  eventIds: readonly string[],
): Promise<void> {
  const seen = new Set((await client.history(roomId, eventIds.length)).map(idOf))
  const lost = eventIds.filter((id) => !seen.has(id))
  if (lost.length > 0) throw new Error(`${lost.length} of ${eventIds.length} events are lost`)
}

function idOf({ event_id }: { readonly event_id: string }): string {
  return event_id
}
