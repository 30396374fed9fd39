/**
 * Clients that sync: all of an account at once, the first page of it by sliding sync, and what is said
 * while many of them wait.
 *
 * @module
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { Agent, request } from 'undici'
import { Client } from '../../test/rig/client.ts'
import { HeapProbe } from '../heap-probe.ts'
import { memoryOf, observe } from '../machine.ts'
import { quantile } from '../statistics.ts'
import { type Bench, repeat, type Sample, type Workload } from '../workload.ts'

/** How many messages each room has, and how many rooms are made at the same time. */
const messagesPerRoom = 5
const roomsAtOnce = 8

export const syncs: readonly Workload[] = [
  {
    name: 'sync-initial-85',
    about: 'all of an account with 85 rooms, by /sync',
    run: (bench) => initialSyncs(bench, { rooms: 85, ask: syncAll }),
  },
  {
    name: 'sync-initial-1000',
    about: 'all of an account with 1000 rooms, by /sync',
    run: (bench) => initialSyncs(bench, { rooms: 1000, ask: syncAll }),
  },
  {
    name: 'sliding-first-page',
    about: 'the newest twenty of 1000 rooms, by sliding sync',
    run: (bench) => initialSyncs(bench, { rooms: 1000, ask: firstPage }),
  },
  {
    name: 'sync-waiting',
    about: 'from a send to all nine others in its room, while a thousand clients wait in /sync',
    run: newsWhileMany,
  },
  {
    name: 'sync-idle',
    about: 'the memory of ten thousand clients that wait in /sync; Hansa alone',
    run: (bench) => onHansa(bench, () => idle(bench)),
  },
  {
    name: 'sync-idle-memory',
    about: 'what the heap holds of ten thousand clients that wait in /sync; Hansa alone',
    asksHeap: true,
    run: (bench) => onHansa(bench, () => idleMemory(bench)),
  },
]

async function onHansa({ subject }: Bench, run: () => Promise<Sample[]>): Promise<Sample[]> {
  return subject.kind === 'hansa' ? await run() : []
}

type Ask = (agent: Agent, client: Client) => Promise<unknown>

/** What a client asks, many times one after the other. */
async function initialSyncs(
  bench: Bench,
  { rooms, ask }: { readonly rooms: number; readonly ask: Ask },
): Promise<Sample[]> {
  const reader = await readerOf(bench, bench.sizes.members ?? rooms)
  const agent = new Agent({ connections: 1 })
  const times = bench.sizes.events ?? (bench.subject.kind === 'hansa' ? 20 : 5)
  const once = () =>
    measureAnswers(bench, times, async (tookMs) => {
      for (let left = times; left > 0; left -= 1) {
        const start = performance.now()
        await ask(agent, reader)
        tookMs.push(performance.now() - start)
      }
    })
  const samples = await repeat(bench, { warmUp: once, once, times: 3 })
  await agent.close()
  return samples
}

/** How long each of many answers took, and what it cost; `run` adds the times. */
async function measureAnswers(
  { subject }: Bench,
  events: number,
  run: (tookMs: number[]) => Promise<void>,
): Promise<Sample> {
  const tookMs: number[] = []
  const { workedMs, othersBusy } = await observe(subject.pid, () => run(tookMs))
  return {
    'p50 ms': quantile(tookMs, 0.5),
    'p99 ms': quantile(tookMs, 0.99),
    'CPU ms/event': workedMs / events,
    'others busy': othersBusy,
  }
}

/** A user in so many rooms, in each of which another one has said something. */
async function readerOf({ subject, version }: Bench, rooms: number): Promise<Client> {
  const [reader, writer] = [
    await Client.register(subject.baseUrl, 'reader'),
    await Client.register(subject.baseUrl, 'writer'),
  ]
  let left = rooms
  const make = async () => {
    while (left-- > 0) {
      const options = { preset: 'public_chat', room_version: version.id, name: `Room ${left}` }
      const roomId = await writer.createRoom(options)
      await reader.join(roomId)
      for (let count = 0; count < messagesPerRoom; count += 1) {
        await writer.send(roomId, `message ${count} of the room`)
      }
    }
  }
  await Promise.all(Array.from({ length: roomsAtOnce }, make))
  return reader
}

interface Synced {
  readonly rooms?: { readonly join?: Readonly<Record<string, unknown>> }
  readonly next_batch: string
}

async function syncAll(agent: Agent, client: Client): Promise<void> {
  const answer = (await ask(agent, client, '/v3/sync')) as Synced
  if (Object.keys(answer.rooms?.join ?? {}).length === 0) throw new Error('no room is there')
}

async function firstPage(agent: Agent, client: Client): Promise<void> {
  const required_state = ['name', 'avatar', 'encryption', 'create', 'canonical_alias', 'topic']
    .map((name) => [`m.room.${name}`, ''])
    .concat([
      ['m.room.member', '$LAZY'],
      ['m.room.member', '$ME'],
    ])
  const lists = { all: { ranges: [[0, 19]], timeline_limit: 1, required_state } }
  const path = '/unstable/org.matrix.simplified_msc3575/sync'
  const answer = (await ask(agent, client, path, { lists })) as { rooms: object }
  if (Object.keys(answer.rooms).length !== 20) throw new Error('twenty rooms are not there')
}

async function ask(
  dispatcher: Agent,
  { baseUrl, token }: Client,
  path: string,
  body?: object,
): Promise<unknown> {
  const answer = await request(`${baseUrl}/_matrix/client${path}`, {
    dispatcher,
    method: body === undefined ? 'GET' : 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    headersTimeout: 0,
    bodyTimeout: 0,
  })
  const text = await answer.body.text()
  if (answer.statusCode !== 200) throw new Error(`${path}: ${answer.statusCode} ${text}`)
  return JSON.parse(text)
}

const membersPerRoom = 10

/** Users in rooms of ten, who all wait for what is said. */
async function waiters({ subject, version }: Bench, users: number): Promise<Client[][]> {
  const rooms: Client[][] = []
  let next = 0
  const make = async () => {
    for (let room = next++; room < users / membersPerRoom; room = next++) {
      const members: Client[] = []
      for (let member = 0; member < membersPerRoom; member += 1) {
        members.push(await Client.register(subject.baseUrl, `user${room}x${member}`))
      }
      const [first, ...others] = members
      if (first === undefined) return
      const options = { preset: 'public_chat', room_version: version.id }
      const roomId = await first.createRoom(options)
      for (const other of others) await other.join(roomId)
      rooms[room] = members
    }
  }
  await Promise.all(Array.from({ length: roomsAtOnce }, make))
  return rooms
}

const waitMs = 120_000

interface Waiting {
  readonly signal: AbortSignal
  /** Called when it has asked for all, and whenever something is said. */
  readonly heard: () => void
  /** Called whenever it asks. */
  readonly asked?: () => void
  /** What it knows already. */
  readonly since?: string | undefined
}

/** One client that waits in `/sync` again and again, and tells when it was answered. */
async function waitAgain(
  agent: Agent,
  client: Client,
  { signal, heard, asked, since: given }: Waiting,
): Promise<void> {
  let since = given ?? ((await ask(agent, client, '/v3/sync')) as Synced).next_batch
  heard()
  while (!signal.aborted) {
    const path = `/v3/sync?timeout=${waitMs}&since=${since}`
    asked?.()
    const answer = (await ask(agent, client, path)) as Synced
    since = answer.next_batch
    if (answer.rooms?.join !== undefined) heard()
  }
}

/** How many connections are opened at the same time: so many may wait until a Synapse takes them. */
const beginAtOnce = 50

async function newsWhileMany(bench: Bench): Promise<Sample[]> {
  const users = bench.sizes.members ?? 1000
  const rooms = await waiters(bench, users)
  const agent = new Agent({ connections: users })
  const ender = new AbortController()
  const heard = new Map<Client, () => void>()
  const begin = (client: Client) => {
    const first = Promise.withResolvers<void>()
    heard.set(client, () => first.resolve())
    const wait = { signal: ender.signal, heard: () => heard.get(client)?.() }
    waitAgain(agent, client, wait).catch((error: unknown) => {
      if (!ender.signal.aborted) first.reject(error)
    })
    return first.promise
  }
  const clients = rooms.flat()
  for (let at = 0; at < clients.length; at += beginAtOnce) {
    await Promise.all(clients.slice(at, at + beginAtOnce).map(begin))
  }
  const roomIds = await Promise.all(rooms.map(async ([first]) => await roomOf(first)))
  const sends = bench.sizes.events ?? (bench.subject.kind === 'hansa' ? 200 : 50)
  const once = () =>
    measureAnswers(bench, sends, async (tookMs) => {
      for (let left = sends; left > 0; left -= 1) {
        const at = left % rooms.length
        const [sender, ...others] = rooms[at] ?? []
        if (sender === undefined) continue
        const start = performance.now()
        const all = others.map((client) => {
          const { promise, resolve } = Promise.withResolvers<void>()
          heard.set(client, () => {
            tookMs.push(performance.now() - start)
            resolve()
          })
          return promise
        })
        await sender.send(roomIds[at] ?? '', 'is anybody there?')
        await Promise.all(all)
      }
    })
  const samples = await repeat(bench, { warmUp: once, once, times: 3 })
  ender.abort()
  await agent.destroy()
  return samples
}

async function roomOf(client: Client | undefined): Promise<string> {
  const answer = await client?.call('GET', '/v3/joined_rooms')
  const [roomId] = (answer as { joined_rooms?: string[] } | undefined)?.joined_rooms ?? []
  if (roomId === undefined) throw new Error('a client is in no room')
  return roomId
}

async function idle(bench: Bench): Promise<Sample[]> {
  const processMiB = async () => memoryOf(bench.subject.pid).nowMiB
  const { before, waiting, polls } = await whileIdle(bench, processMiB)
  return [{ 'MiB waiting': waiting, 'KiB/poll': ((waiting - before) * 1024) / polls }]
}

async function idleMemory(bench: Bench): Promise<Sample[]> {
  const probe = await HeapProbe.open(bench.subject.log())
  const { before, waiting, polls } = await whileIdle(bench, () => probe.heldBytes())
  probe.close()
  return [{ 'MiB held, waiting': waiting / 2 ** 20, 'bytes held/poll': (waiting - before) / polls }]
}

/** Many polls at once, of fewer users: each of them has several devices that wait. Looks before and meanwhile. */
async function whileIdle(
  bench: Bench,
  look: () => Promise<number>,
): Promise<{ readonly before: number; readonly waiting: number; readonly polls: number }> {
  const polls = bench.sizes.members ?? 10_000
  const clients = (await waiters(bench, 500)).flat()
  const agent = new Agent({ connections: polls })
  const since = await Promise.all(
    clients.map(async (client) => ((await ask(agent, client, '/v3/sync')) as Synced).next_batch),
  )
  const before = await look()
  const ender = new AbortController()
  let askedAt = performance.now()
  const wait = {
    signal: ender.signal,
    heard: () => {},
    asked: () => {
      askedAt = performance.now()
    },
  }
  const waiting: Promise<void>[] = []
  for (let poll = 0; poll < polls; poll += 1) {
    const at = poll % clients.length
    const client = clients[at]
    if (client === undefined) break
    waiting.push(waitAgain(agent, client, { ...wait, since: since[at] }).catch(() => {}))
  }
  // What others have done meanwhile is told first; then all of them wait.
  while (performance.now() - askedAt < quietMs) await sleep(quietMs / 10)
  const meanwhile = await look()
  ender.abort()
  await agent.destroy()
  await Promise.all(waiting)
  return { before, waiting: meanwhile, polls }
}

/** How long nobody has asked when all wait. */
const quietMs = 20_000
