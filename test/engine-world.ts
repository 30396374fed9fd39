/**
 * The engine of one server with its rooms, on a disk in memory, and rooms of another server to join.
 *
 * @module
 */

import assert from 'node:assert/strict'
import type { Clock } from '#io/clock.ts'
import { type Log, silentLog } from '#io/log.ts'
import { pduCheckerInPlace } from '#io/pdu-checker-in-place.ts'
import { realClock } from '#io/real-clock.ts'
import { realRandom } from '#io/real-random.ts'
import { selectAuthEvents } from '#protocol/auth-rules/auth-events.ts'
import { authStateOf } from '#protocol/auth-rules/auth-state.ts'
import { buildPdu, referenceTo } from '#protocol/build-pdu.ts'
import type { ServerName, UserId } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'
import type { Pdu } from '#protocol/pdu.ts'
import { type RoomVersion, roomVersions } from '#protocol/room-version.ts'
import { createLocalRooms, type LocalRooms } from '#rooms/create-engine.ts'
import type { RoomImport } from '#rooms/engine.ts'
import type { Signer } from '#rooms/remote-servers.ts'
import type { RoomCommit } from '#rooms/rooms.ts'
import type { Database } from '#storage/database.ts'
import { type MemoryImage, openSqlite, type SqliteDatabase } from '#storage/sqlite.ts'
import { openStreams } from '#storage/streams.ts'
import { bob, signerOf, TheirRoom, theirs, there } from './their-room.ts'

const here = 'here.test' as ServerName
export const alice: UserId = '@alice:here.test'
export const end = { stream: Number.MAX_SAFE_INTEGER, sub: 0 }

export const ours = signerOf(here, 1)

export interface EngineWorld {
  readonly image: MemoryImage
  readonly db: SqliteDatabase
  readonly rooms: LocalRooms
  readonly commits: RoomCommit[]
}

/** A clock by which every slice of work is over at once, so that all pauses are made. */
export function hastyClock(): Clock & { readonly pauses: () => number } {
  let ms = 0
  let pauses = 0
  return {
    ...realClock,
    monotonicMs: () => (ms += 1000),
    yield: async () => {
      pauses += 1
      await realClock.yield()
    },
    pauses: () => pauses,
  }
}

interface EngineOptions {
  /** When the database commits what was collected. */
  readonly schedule?: (act: () => void) => void
  readonly clock?: Clock
  readonly log?: Log
  /** What the engine gets for a database: one that fails at something. */
  readonly failing?: (db: Database) => Database
}

export async function openEngine(
  image: MemoryImage,
  { schedule = queueMicrotask, clock = realClock, ...options }: EngineOptions = {},
): Promise<EngineWorld> {
  const db = await openSqlite({ image, schedule })
  const used = options.failing?.(db) ?? db
  const key = { server: there, keyId: theirs.keyId, key: theirs.publicKey, validUntilTs: 2 ** 52 }
  const rooms = await createLocalRooms({
    db: used,
    streams: await openStreams(used),
    clock,
    random: realRandom,
    log: options.log ?? silentLog,
    signer: ours,
    keyring: { verifyKeys: async () => [key] },
    pduChecker: pduCheckerInPlace(clock),
  })
  const commits: RoomCommit[] = []
  rooms.onCommit((commit) => commits.push(commit))
  return { image, db, rooms, commits }
}

/** A room of ours in which Bob and Carol of the other server are. Bob has the level 50. */
export async function roomWithThem(world: EngineWorld, version: RoomVersion) {
  const { rooms } = world
  const users = version.privilegedCreators ? { [bob]: 50 } : { [alice]: 100, [bob]: 50 }
  const roomId = await rooms.createRoom({
    creator: alice,
    version,
    createContent: {},
    joinContent: {},
    events: [
      { type: 'm.room.power_levels', state_key: '', content: { users } },
      { type: 'm.room.join_rules', state_key: '', content: { join_rule: 'public' } },
    ],
  })
  const room = new TheirRoom(world, roomId, version, alice)
  await room.join()
  return room
}

export function versionOf(id: string): RoomVersion {
  return roomVersions.get(id) ?? assert.fail()
}

/**
 * A room of the other server with many members, as it is given to a server of which a user joins. The
 * same room each time, whoever joins; one with more members is what it has become later.
 */
export function largeRoom(members: number, joiner = alice): RoomImport {
  const state = largeState.slice(0, 4 + members)
  const join = { membership: 'join' }
  const add = (sender: UserId, type: string, stateKey: string, content: JsonObject) => {
    const pdu = largeRoomEvent(state, theirs, { sender, type, state_key: stateKey, content })
    state.push(pdu)
    largeState.push(pdu)
  }
  if (state.length === 0) {
    add(bob, 'm.room.create', '', { room_version: '11' })
    add(bob, 'm.room.member', bob, join)
    add(bob, 'm.room.power_levels', '', { users: { [bob]: 100 } })
    add(bob, 'm.room.join_rules', '', { join_rule: 'public' })
  }
  while (state.length < 4 + members) {
    const user: UserId = `@user${state.length - 4}:there.test`
    add(user, 'm.room.member', user, join)
  }
  const sketch = { sender: joiner, type: 'm.room.member', state_key: joiner, content: join }
  const event = largeRoomEvent(state, ours, sketch)
  return { roomId: event.room_id, version: event.version, event, state, authChain: [] }
}

/** Signing takes long: the events are made once. */
const largeState: Pdu[] = []

function largeRoomEvent(
  before: readonly Pdu[],
  signer: Signer,
  sketch: Pick<Pdu, 'sender' | 'type' | 'content'> & { readonly state_key: string },
): Pdu {
  const version = versionOf('11')
  const subject = { version, ...sketch }
  const built = buildPdu(
    version,
    {
      room_id: '!large:there.test',
      ...sketch,
      depth: before.length + 1,
      origin_server_ts: 1_700_000_000_000,
      prev_events: before.slice(-1).map(referenceTo),
      auth_events: selectAuthEvents(subject, authStateOf(before.slice(0, 4))).map(referenceTo),
    },
    signer,
  )
  assert.ok(built.ok)
  return built.pdu
}
