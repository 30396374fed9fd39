/**
 * What the engine does in a second: events of another server into one room, events of our own users,
 * and how long it takes to import a large room, with the longest stall of the thread meanwhile. On a
 * file, with the writer on its thread; the other server's events are signed before.
 *
 * `node bench/rooms.ts [events] [members]`
 *
 * @module
 */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import { silentLog } from '#io/log.ts'
import { pduCheckerInPlace } from '#io/pdu-checker-in-place.ts'
import { realClock } from '#io/real-clock.ts'
import { realRandom } from '#io/real-random.ts'
import { selectAuthEvents } from '#protocol/auth-rules/auth-events.ts'
import { authStateOf } from '#protocol/auth-rules/auth-state.ts'
import { buildPdu, type EventDraft } from '#protocol/build-pdu.ts'
import { signingKeyOf } from '#protocol/ed25519.ts'
import type { RoomId, ServerName, UserId } from '#protocol/identifiers/ids.ts'
import type { Pdu } from '#protocol/pdu.ts'
import { type RoomVersion, roomVersions } from '#protocol/room-version.ts'
import { createLocalRooms } from '#rooms/create-engine.ts'
import { openSqliteWorker } from '#storage/sqlite-worker.ts'
import { openStreams } from '#storage/streams.ts'

const events = Number(process.argv[2] ?? 5000)
const members = Number(process.argv[3] ?? 20_000)
const version = roomVersions.get('11') as RoomVersion

const there = 'there.test' as ServerName
const bob: UserId = '@bob:there.test'
const alice: UserId = '@alice:here.test'
const { publicKey: key, sign } = signingKeyOf(new Uint8Array(32).fill(2))
const signer = { serverName: there, keyId: 'ed25519:1', sign }

/** A room of another server, event by event. */
class TheirRoom {
  readonly roomId: RoomId
  readonly state: Pdu[] = []
  #last: Pdu | undefined

  constructor(roomId: RoomId) {
    this.roomId = roomId
  }

  add(sender: UserId, type: string, content: EventDraft['content'], stateKey?: string): Pdu {
    const subject = { version, type, sender, content }
    const place = stateKey === undefined ? {} : { state_key: stateKey }
    const leading = [
      ...this.state.slice(0, 5),
      ...this.state.filter((pdu) => pdu.state_key === sender),
    ]
    const auth = selectAuthEvents({ ...subject, ...place }, authStateOf(leading))
    const built = buildPdu(
      version,
      {
        room_id: this.roomId,
        type,
        sender,
        content,
        ...place,
        depth: (this.#last?.depth ?? 0) + 1,
        origin_server_ts: 1_700_000_000_000,
        prev_events: this.#last ? [{ event_id: this.#last.event_id }] : [],
        auth_events: auth.map(({ event_id }) => ({ event_id })),
      },
      signer,
    )
    if (!built.ok) throw new Error(built.reason)
    this.#last = built.pdu
    if (stateKey !== undefined) this.state.push(built.pdu)
    return built.pdu
  }
}

function theirRoom(name: string): TheirRoom {
  const room = new TheirRoom(`!${name}:there.test`)
  room.add(bob, 'm.room.create', { room_version: version.id }, '')
  room.add(bob, 'm.room.member', { membership: 'join' }, bob)
  room.add(bob, 'm.room.power_levels', { users: { [bob]: 100 } }, '')
  room.add(bob, 'm.room.join_rules', { join_rule: 'public' }, '')
  return room
}

async function timed(what: string, count: number, run: () => Promise<unknown>): Promise<void> {
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  const start = performance.now()
  const cpu = process.threadCpuUsage()
  await run()
  const ms = performance.now() - start
  await realClock.yield()
  delay.disable()
  const perSecond = Math.round((count * 1000) / ms)
  // What the thread itself has worked does not depend on what else the machine does.
  const { user, system } = process.threadCpuUsage(cpu)
  const each = Math.round((user + system) / count)
  const stall = Math.round(delay.max / 1e6)
  console.log(`${what}: ${Math.round(ms)} ms, ${perSecond}/s, ${each} us each, stall ${stall} ms`)
}

const folder = await mkdtemp(join(tmpdir(), 'hansa-bench-'))
const db = await openSqliteWorker({
  path: join(folder, 'rooms.db'),
  onFatal: (error) => {
    throw error
  },
})
const ours = signingKeyOf(new Uint8Array(32).fill(1))
const rooms = await createLocalRooms({
  db,
  streams: await openStreams(db),
  clock: realClock,
  random: realRandom,
  log: silentLog,
  signer: { serverName: 'here.test' as ServerName, keyId: 'ed25519:1', ...ours },
  keyring: {
    verifyKeys: async () => [{ server: there, keyId: 'ed25519:1', key, validUntilTs: 2 ** 52 }],
  },
  pduChecker: pduCheckerInPlace(realClock),
})

/** Joins the other server's room by importing it. */
async function joinTheirs(room: TheirRoom): Promise<void> {
  const state = [...room.state]
  const event = room.add(alice, 'm.room.member', { membership: 'join' }, alice)
  const { roomId } = room
  const verdict = await rooms.engine.importRoom(
    { roomId, version, event, state, authChain: [] },
    there,
  )
  if (!verdict.allowed) throw new Error(verdict.rule)
}

const busy = theirRoom('busy')
await joinTheirs(busy)
const pdus = Array.from({ length: events }, (_, index) =>
  busy.add(bob, 'm.room.message', { msgtype: 'm.text', body: `${index} ${'lorem '.repeat(60)}` }),
)
await timed(`${events} events received, in fifties`, events, async () => {
  const turns: Promise<unknown>[] = []
  for (let at = 0; at < pdus.length; at += 50) {
    turns.push(rooms.engine.receive(busy.roomId, pdus.slice(at, at + 50), { origin: there }))
    if (turns.length % 8 === 0) await Promise.all(turns.splice(0))
  }
  await Promise.all(turns)
})
await timed(`${events} events sent, by fifty at once`, events, async () => {
  let left = events
  const one = async () => {
    while (left-- > 0) {
      const content = { msgtype: 'm.text', body: 'lorem '.repeat(60) }
      await rooms.send(busy.roomId, { sender: alice, type: 'm.room.message', content })
    }
  }
  await Promise.all(Array.from({ length: 50 }, one))
})

const large = theirRoom('large')
for (let index = 0; index < members; index++) {
  const user: UserId = `@user${index}:there.test`
  const member = buildMember(large, user)
  large.state.push(member)
}
await timed(`import of ${members} members`, members, () => joinTheirs(large))
await rooms.close()
await db.close()
await rm(folder, { recursive: true })

/** A member of the room, without a place in its graph. */
function buildMember(room: TheirRoom, user: UserId): Pdu {
  const [create, , levels, rules] = room.state as [Pdu, Pdu, Pdu, Pdu]
  const built = buildPdu(
    version,
    {
      room_id: room.roomId,
      type: 'm.room.member',
      state_key: user,
      sender: user,
      content: { membership: 'join', displayname: user },
      depth: 10,
      origin_server_ts: 1_700_000_000_000,
      prev_events: [{ event_id: rules.event_id }],
      auth_events: [create, levels, rules].map(({ event_id }) => ({ event_id })),
    },
    signer,
  )
  if (!built.ok) throw new Error(built.reason)
  return built.pdu
}
