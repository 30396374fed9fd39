/**
 * How long the thread is kept from everything else by what large rooms bring with them: the answer to
 * a join, from its bytes to the room that is there; coming back to that room; a fork of it, in which
 * states with many conflicts are resolved. On a file, with the writer and the checker of PDUs on their
 * threads; members are of two thousand servers, whose events are signed before.
 *
 * `node bench/stalls.ts [members] [conflicts]`
 *
 * @module
 */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import type { FederationClient } from '#federation/call.ts'
import { createRemoteServers } from '#federation/remote-servers.ts'
import { RawJsonPages, serialise } from '#http/raw-json.ts'
import { silentLog } from '#io/log.ts'
import { pduCheckerWorkers } from '#io/pdu-checker-workers.ts'
import { realClock } from '#io/real-clock.ts'
import { realRandom } from '#io/real-random.ts'
import { selectAuthEvents } from '#protocol/auth-rules/auth-events.ts'
import { authStateOf } from '#protocol/auth-rules/auth-state.ts'
import { buildPdu } from '#protocol/build-pdu.ts'
import { signingKeyOf } from '#protocol/ed25519.ts'
import { serverNameOf } from '#protocol/identifiers/common-format.ts'
import type { EventId, RoomId, ServerName, UserId } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'
import type { Pdu } from '#protocol/pdu.ts'
import { roomVersions } from '#protocol/room-version.ts'
import { createLocalRooms } from '#rooms/create-engine.ts'
import { createRooms } from '#rooms/create-rooms.ts'
import { openSqliteWorker } from '#storage/sqlite-worker.ts'
import { openStreams } from '#storage/streams.ts'

const members = Number(process.argv[2] ?? 20_000)
const conflicts = Number(process.argv[3] ?? 500)
const serversCount = 2000
const version = roomVersions.get('11')
if (version === undefined) throw new Error('room version 11')

const bob: UserId = '@bob:there.test'
const alice: UserId = '@alice:here.test'
const roomId: RoomId = '!large:there.test'
const { publicKey, sign } = signingKeyOf(new Uint8Array(32).fill(2))

interface Sketch {
  readonly sender: UserId
  readonly type: string
  readonly state_key?: string
  readonly content: JsonObject
}

/** The room as its residents hold it. */
const state: Pdu[] = []
let depth = 0

function make(sketch: Sketch, after: readonly Pdu[], auth: readonly Pdu[]): Pdu {
  depth += 1
  const built = buildPdu(
    version as NonNullable<typeof version>,
    {
      room_id: roomId,
      ...sketch,
      depth,
      origin_server_ts: 1_700_000_000_000 + depth,
      prev_events: after.map(({ event_id }) => ({ event_id })),
      auth_events: auth.map(({ event_id }) => ({ event_id })),
    },
    { serverName: serverNameOf(sketch.sender), keyId: 'ed25519:1', sign },
  )
  if (!built.ok) throw new Error(built.reason)
  return built.pdu
}

function add(sender: UserId, type: string, stateKey: string, content: JsonObject): Pdu {
  const sketch = { sender, type, state_key: stateKey, content }
  const subject = { version: version as NonNullable<typeof version>, ...sketch }
  const pdu = make(
    sketch,
    state.slice(-1),
    selectAuthEvents(subject, authStateOf(state.slice(0, 4))),
  )
  state.push(pdu)
  return pdu
}

add(bob, 'm.room.create', '', { room_version: version.id })
add(bob, 'm.room.member', bob, { membership: 'join' })
add(bob, 'm.room.power_levels', '', { users: { [bob]: 100 }, events: { 'm.test': 0 } })
add(bob, 'm.room.join_rules', '', { join_rule: 'public' })
for (let index = 0; index < members; index += 1) {
  const user: UserId = `@user${index}:server${index % serversCount}.test`
  add(user, 'm.room.member', user, { membership: 'join', displayname: `User ${index}` })
}

/** Made before what is timed. */
let answer = answerToJoin()

function answerToJoin(): Buffer {
  const list = (pdus: readonly Pdu[]) => pdus.map(({ bytes }) => Buffer.from(bytes)).join()
  const auth = list(state.slice(0, 4))
  return Buffer.from(`{"auth_chain":[${auth}],"origin":"there.test","state":[${list(state)}]}`)
}

/** A resident that answers to `make_join` and `send_join`. */
const resident: FederationClient = {
  callForAnswer: () => Promise.reject(new Error('nobody asks for this')),
  callForBytes: async () => answer,
  call: async (_destination, _endpoint, request) => {
    const { userId } = (request as unknown as { params: { userId: UserId } }).params
    const sketch = { sender: userId, type: 'm.room.member', state_key: userId }
    const subject = { version, ...sketch, content: { membership: 'join' } }
    const auth = selectAuthEvents(subject, authStateOf(state.slice(0, 4)))
    const event = {
      ...sketch,
      room_id: roomId,
      content: { membership: 'join' },
      depth: depth + 1,
      prev_events: state.slice(-1).map(({ event_id }) => event_id),
      auth_events: auth.map(({ event_id }) => event_id),
    }
    return { json: { room_version: version?.id, event }, bytes: new Uint8Array() } as never
  },
}

async function timed(what: string, run: () => Promise<unknown>): Promise<void> {
  await realClock.sleep(50)
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  const start = performance.now()
  const probe = longestSlice()
  const cpu = process.threadCpuUsage()
  await run()
  const ms = performance.now() - start
  const { user, system } = process.threadCpuUsage(cpu)
  const longestMs = await probe()
  delay.disable()
  const stallMs = Math.round(delay.max / 1e6)
  console.log(
    `${what}: ${Math.round(ms)} ms, ${Math.round((user + system) / 1000)} ms of the thread, ` +
      `stall ${stallMs} ms, longest slice ${longestMs} ms of the thread`,
  )
}

/** The most that the thread works in one turn of its loop, whatever else the machine does. */
function longestSlice(): () => Promise<number> {
  let longest = 0
  let isOver = false
  let last = process.threadCpuUsage()
  const turn = () => {
    const { user, system } = process.threadCpuUsage(last)
    longest = Math.max(longest, user + system)
    last = process.threadCpuUsage()
    if (!isOver) setImmediate(turn)
  }
  setImmediate(turn)
  return async () => {
    await realClock.yield()
    isOver = true
    return Math.round(longest / 1000)
  }
}

const folder = await mkdtemp(join(tmpdir(), 'hansa-bench-'))
const db = await openSqliteWorker({
  path: join(folder, 'rooms.db'),
  onFatal: (error) => {
    throw error
  },
})
const serverName = 'here.test' as ServerName
const base = {
  db,
  clock: realClock,
  random: realRandom,
  log: silentLog,
  serverName,
  signer: { serverName, keyId: 'ed25519:1', ...signingKeyOf(new Uint8Array(32).fill(1)) },
  keyring: {
    verifyKeys: async (needs: readonly { server: ServerName; keyId: string }[]) =>
      needs.map(({ server, keyId }) => ({ server, keyId, key: publicKey, validUntilTs: 2 ** 52 })),
  },
}
const pduChecker = pduCheckerWorkers(realClock)
const local = await createLocalRooms({ ...base, streams: await openStreams(db), pduChecker })
const { rooms, roomsForServers } = createRooms(local, {
  ...base,
  remoteServers: createRemoteServers(resident, realClock),
  canBeInvited: async () => true,
  isThirdPartyKeyValid: async () => false,
  signAsPolicyServer: () => Promise.reject(new Error('there is no policy server')),
})

const there = 'there.test' as ServerName
const joinThere = () => rooms.join({ userId: alice, roomId, via: [there], content: {} })
await timed(`join of a room of ${members} members`, joinThere)
await timed('one message', () =>
  rooms.send(roomId, { sender: alice, type: 'm.room.message', content: {} }),
)
await rooms.leave({ userId: alice, roomId, content: {} })
for (let index = members; index < members + 1000; index += 1) {
  const user: UserId = `@user${index}:server${index % serversCount}.test`
  add(user, 'm.room.member', user, { membership: 'join' })
}
answer = answerToJoin()
await timed('join of the same room again, with 1000 members more', joinThere)

// A server of the room asks for all of it, and a user of another one joins.
const ask = {
  origin: there,
  roomId,
  eventId: (await local.engine.forwardExtremities(roomId))[0] as EventId,
}
const newcomer: UserId = '@newcomer:there.test'
const entry = make(
  { sender: newcomer, type: 'm.room.member', state_key: newcomer, content: { membership: 'join' } },
  [(await rooms.event(roomId, ask.eventId))?.pdu as Pdu],
  [state[0], state[2], state[3]] as Pdu[],
)
await timed('the IDs of the state, served', () => roomsForServers.stateIds(ask))
await timed('the state, served', async () => {
  const { state: given, authChain } = await roomsForServers.state(ask)
  await drain([authChain, given])
})
await timed('a join, served', async () => {
  const submission = { origin: there, roomId, eventId: entry.event_id, event: entry.bytes }
  const joined = await roomsForServers.acceptJoin({ ...submission, omitMembers: false })
  await drain([joined.authChain, joined.state])
})

/** Reads what would be sent, as it would be sent. */
async function drain(lists: readonly AsyncIterable<readonly Uint8Array[]>[]): Promise<void> {
  const value = lists.map((pages) => [new RawJsonPages(pages)])
  for await (const _chunk of serialise(value));
}

// Two branches in which so many members each say something of the room, under the same keys.
const [end] = await local.engine.forwardExtremities(roomId)
const fork = (await rooms.event(roomId, end as EventId))?.pdu as Pdu
const branches: Pdu[][] = [[], []]
for (const branch of branches) {
  for (let index = 0; index < conflicts; index += 1) {
    const member = state[4 + index] as Pdu
    const sketch = { sender: member.sender, type: 'm.test', state_key: `${index}`, content: {} }
    const auth = [state[0], state[2], member] as Pdu[]
    branch.push(make(sketch, [branch.at(-1) ?? fork], auth))
  }
}
for (const [index, branch] of branches.entries()) {
  await timed(`branch ${index} of ${conflicts} state events`, () =>
    local.engine.receive(roomId, branch, { origin: there }),
  )
}
await timed('one message upon both', () =>
  rooms.send(roomId, { sender: alice, type: 'm.room.message', content: {} }),
)
await rooms.close()
await pduChecker.close()
await db.close()
await rm(folder, { recursive: true })
