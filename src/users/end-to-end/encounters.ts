/**
 * Looks at who comes to share a room with whom, and who does no longer: other servers are told of our
 * users' devices when they begin to share a room, and what they told us is forgotten when they end to.
 *
 * Up to where this has been done is in the store, so that a crash leaves out nothing: what is done
 * twice does no harm.
 *
 * @module
 */

import type { Log } from '#io/log.ts'
import { serverNameOf } from '#protocol/identifiers/common-format.ts'
import type { RoomId, ServerName, UserId } from '#protocol/identifiers/ids.ts'
import { parseUserId } from '#protocol/identifiers/user-id.ts'
import type { Pdu } from '#protocol/pdu.ts'
import type { MemberChanges, Rooms, StoredEvent } from '#rooms/rooms.ts'
import type { Database } from '#storage/database.ts'
import { encountersLookedAt, setEncountersLookedAt } from '#storage/device-lists.ts'
import { listedMembersOf, remoteDeviceLists } from '#storage/remote-devices.ts'
import type { Streams } from '#storage/streams.ts'
import type { DeviceLists } from './device-lists.ts'
import type { RemoteDevices } from './remote-devices.ts'

export interface Encounters {
  /** Looks at what happened before the start, and from now on at what happens. Call it once. */
  start(): Promise<void>
}

export interface EncounterNeeds {
  readonly db: Database
  readonly log: Pick<Log, 'error'>
  readonly streams: Pick<Streams, 'settled'>
  readonly serverName: ServerName
  readonly rooms: Pick<
    Rooms,
    | 'events'
    | 'joinedRoomsOf'
    | 'localMembers'
    | 'memberChanges'
    | 'onCommit'
    | 'roomsWithStateSince'
    | 'serversInRoom'
    | 'stateChanges'
  >
  readonly deviceLists: Pick<DeviceLists, 'tellServers'>
  readonly remoteDevices: Pick<RemoteDevices, 'doubt' | 'forget' | 'wereStrangers'>
}

interface Change {
  readonly roomId: RoomId
  readonly stream: number
  readonly members: MemberChanges
  /** The news of members, by whom they are about. */
  readonly events: ReadonlyMap<string, Pdu>
}

/** When more are in a room at once, its members were not known before, and nobody held them to be out. */
const returnedMax = 100

export function createEncounters(needs: EncounterNeeds): Encounters {
  const queue: Change[] = []
  let working: Promise<void> | undefined
  let isStarted = false
  const work = async () => {
    for (let change = queue.shift(); change !== undefined; change = queue.shift()) {
      await takeIn(needs, change)
    }
  }
  const wake = () => {
    if (!isStarted || working !== undefined || queue.length === 0) return
    working = work()
      .catch((error: unknown) => needs.log.error('who shares a room is not known', { error }))
      .finally(() => {
        working = undefined
        wake()
      })
  }
  needs.rooms.onCommit(({ roomId, stream, timeline, memberChanges: members }) => {
    if (members.joined.length + members.gone.length === 0) return
    const events = new Map<string, Pdu>()
    for (const { pdu } of timeline) {
      if (pdu.type === 'm.room.member') events.set(pdu.state_key ?? '', pdu)
    }
    queue.push({ roomId, stream, members, events })
    wake()
  })
  return {
    start: async () => {
      await catchUp(needs)
      isStarted = true
      wake()
    },
  }
}

/** What happened after the last look, as far as the rooms' states tell. */
async function catchUp(needs: EncounterNeeds): Promise<void> {
  const { db, rooms, streams, remoteDevices } = needs
  const from = await encountersLookedAt(db)
  const to = streams.settled()
  for (const roomId of from === undefined ? [] : await rooms.roomsWithStateSince(from)) {
    const range = { from: from ?? to, to }
    const members = await rooms.memberChanges(roomId, range)
    // Who is a member by another event than before may have been away in between.
    const changes = await rooms.stateChanges(roomId, range)
    const touched = changes.flatMap(({ type, stateKey }) =>
      type === 'm.room.member' ? (parseUserId(stateKey) ?? []) : [],
    )
    await lookAt(needs, {
      roomId,
      stream: to,
      members: await withReturns(needs, roomId, { members, touched }),
      events: new Map(),
    })
    const listed = new Set(await listedMembersOf(db, roomId))
    await remoteDevices.doubt(touched.filter((userId) => listed.has(userId)))
  }
  await db.write((tx) => setEncountersLookedAt(tx, to))
}

/** Adds those who are in the room, and whose membership was touched meanwhile, to those who came. */
async function withReturns(
  { rooms, serverName }: EncounterNeeds,
  roomId: RoomId,
  { members, touched }: { readonly members: MemberChanges; readonly touched: readonly UserId[] },
): Promise<MemberChanges> {
  const present = new Set(await rooms.localMembers(roomId))
  const joined = new Set([...members.joined, ...touched.filter((userId) => present.has(userId))])
  const servers = new Set(touched.map(serverNameOf))
  const back = (await rooms.serversInRoom(roomId)).filter(
    (server) => server !== serverName && servers.has(server),
  )
  const newServers = new Set([...members.newServers, ...back])
  return { ...members, joined: [...joined], newServers: [...newServers] }
}

async function takeIn(needs: EncounterNeeds, change: Change): Promise<void> {
  await lookAt(needs, change)
  await needs.db.write((tx) => setEncountersLookedAt(tx, change.stream))
}

async function lookAt(needs: EncounterNeeds, change: Change): Promise<void> {
  const { serverName, remoteDevices } = needs
  const { joined, gone, newServers, goneServers } = change.members
  const isLocal = (userId: UserId) => serverNameOf(userId) === serverName
  for (const userId of joined.filter(isLocal)) await introduce(needs, userId, change.roomId)
  if (!newServers.includes(serverName)) {
    await welcome(needs, change)
    const others = joined.filter((userId) => !isLocal(userId))
    await remoteDevices.wereStrangers(await returnedAmong(needs, others, change))
  }
  const away = goneServers.includes(serverName)
    ? await listedMembersOf(needs.db, change.roomId)
    : gone.filter((userId) => !isLocal(userId))
  await forgetStrangers(needs, away, change.roomId)
}

/**
 * Those who have come into the room by no event that brings them in: they had been held to be out of it, and
 * branches that met have shown that they never were. A new name of theirs may have shown it.
 */
async function returnedAmong(
  { rooms }: EncounterNeeds,
  joined: readonly UserId[],
  { roomId, events }: Change,
): Promise<UserId[]> {
  const returned = joined.filter((userId) => !events.has(userId))
  if (returned.length > returnedMax) return []
  for (const userId of joined) {
    const event = events.get(userId)
    if (event === undefined) continue
    const isBefore = ({ pdu }: StoredEvent) =>
      pdu.type === 'm.room.member' && pdu.state_key === userId && pdu.content.membership === 'join'
    if ((await rooms.events(roomId, event.auth_events)).some(isBefore)) returned.push(userId)
  }
  return returned
}

/** A user of ours has joined: the servers there that have not heard of their devices are told. */
async function introduce(
  { rooms, deviceLists, serverName }: EncounterNeeds,
  userId: UserId,
  roomId: RoomId,
): Promise<void> {
  const servers = new Set(await rooms.serversInRoom(roomId))
  servers.delete(serverName)
  if (servers.size === 0) return
  // Servers must send EDUs when that user joins a room which contains servers which are not already
  // receiving updates for that user's device list.
  for (const other of await rooms.joinedRoomsOf(userId)) {
    if (other === roomId || servers.size === 0) continue
    for (const server of await rooms.serversInRoom(other)) servers.delete(server)
  }
  await deviceLists.tellServers(userId, [...servers])
}

/**
 * Servers are new in a room with users of ours. The spec speaks only of users who join where servers
 * are, but these are not receiving updates either.
 */
async function welcome(
  { rooms, deviceLists }: EncounterNeeds,
  { roomId, members }: Change,
): Promise<void> {
  if (members.newServers.length === 0) return
  for (const userId of await rooms.localMembers(roomId)) {
    await deviceLists.tellServers(userId, members.newServers)
  }
}

/** Nobody tells us any longer of users who have left the last room they shared with ours. */
async function forgetStrangers(
  { db, rooms, remoteDevices }: EncounterNeeds,
  userIds: readonly UserId[],
  roomId: RoomId,
): Promise<void> {
  const listed = await remoteDeviceLists(db, userIds)
  for (const { user_id: userId } of listed) {
    const others = (await rooms.joinedRoomsOf(userId)).filter((other) => other !== roomId)
    if (others.length === 0) await remoteDevices.forget(userId)
  }
}
