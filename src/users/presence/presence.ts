/**
 * Who is online. Held in memory only, but for status messages: after a restart all are offline until
 * their devices sync, or other servers say something.
 *
 * Presence is known to grow with the square of a room's members. So it goes to members of rooms of at
 * most a thousand, a user's changes are told at most five times in fifty seconds, what other servers say
 * is taken in together once a second, and of their users only those who share a room with somebody here
 * who was online lately.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#presence
 * https://spec.matrix.org/v1.19/server-server-api/#presence
 *
 * @module
 */

import type { EduReceiver, EduSender } from '#federation/edus.ts'
import type { Clock } from '#io/clock.ts'
import type { Log } from '#io/log.ts'
import { serverNameOf } from '#protocol/identifiers/common-format.ts'
import type { RoomId, ServerName, UserId } from '#protocol/identifiers/ids.ts'
import type { RoomCommit, Rooms } from '#rooms/rooms.ts'
import type { Database } from '#storage/database.ts'
import { setStatusMessage, statusMessage } from '#storage/presence-status.ts'
import type { Streams } from '#storage/streams.ts'
import { ActiveRooms } from './active-rooms.ts'
import { LocalPresence, type Told } from './local-presence.ts'
import {
  type PresenceState,
  PresenceStates,
  type PresenceWord,
  presenceContent,
} from './presence-state.ts'
import { RemotePresence } from './remote-presence.ts'

export interface Presence {
  /** A device of ours syncs, for at most `timeoutMs`. */
  syncing(
    device: { readonly userId: UserId; readonly deviceId: string },
    word: PresenceWord,
    timeoutMs: number,
  ): Promise<void>
  /** A user of ours says how they are. */
  set(
    device: { readonly userId: UserId; readonly deviceId: string },
    word: PresenceWord,
    statusMsg: string | undefined,
  ): Promise<void>
  /** What is known of a user; `undefined` if nothing is. */
  state(userId: UserId): PresenceState | undefined
  /** Takes an `m.presence` EDU. */
  readonly receive: EduReceiver
  /** The users that changed after `from`, up to and including `to`, the last to change first. */
  changed(range: { readonly from: number; readonly to: number }): Iterable<[UserId, PresenceState]>
  /** Calls `listener` at changes, with the rooms that they concern and their position. */
  onChange(listener: (roomIds: readonly RoomId[], stream: number) => void): void
  /** `false` where the configuration wants no presence: nothing is known then, and nothing told. */
  readonly isEnabled: boolean
}

export interface PresenceNeeds {
  readonly clock: Clock
  readonly log: Pick<Log, 'warn'>
  readonly db: Database
  readonly streams: Pick<Streams, 'take'>
  readonly edus: EduSender
  readonly serverName: ServerName
  readonly rooms: Pick<
    Rooms,
    'currentState' | 'joinedMemberCount' | 'membershipsOf' | 'onCommit' | 'serversInRoom'
  >
  /** `presence` of the configuration. */
  readonly isEnabled: boolean
}

/** Rooms of a user that presence goes to, the members of each, and the servers of all of them. */
const roomsMax = 200
const membersMax = 1_000
const serversMax = 1_000
/** Users of ours of whom a server is told that comes to share a room with them. */
const toldToNewMax = 100

export function createPresence(needs: PresenceNeeds): Presence {
  const { clock, rooms, serverName, isEnabled } = needs
  const states = new PresenceStates()
  const active = new ActiveRooms(needs)
  const own = new Map<UserId, LocalPresence>()
  const listeners: ((roomIds: readonly RoomId[], stream: number) => void)[] = []
  const announce = (roomIds: readonly RoomId[], stream: number) => {
    for (const listener of listeners) listener(roomIds, stream)
  }
  const remote = new RemotePresence({ ...needs, states, active, announce })
  const told = { ...needs, states, active, announce }
  const of = async (userId: UserId) => {
    const known = own.get(userId)
    if (known !== undefined) return known
    const statusMsg = await statusMessage(needs.db, userId)
    return own.getOrInsertComputed(userId, () => {
      const tell = (told_: Told) => {
        const lastActiveTs = own.get(userId)?.lastActiveTs
        tellOthers(told, { userId, lastActiveTs, ...told_ }).catch((error: unknown) =>
          needs.log.warn('presence was not told', { userId, error }),
        )
      }
      return new LocalPresence(clock, statusMsg, tell)
    })
  }
  const forgetOver = (userId: UserId) => {
    if (own.get(userId)?.isOver) own.delete(userId)
  }
  rooms.onCommit((commit) => {
    if (!isEnabled) return
    // A pro-active event may be sending a message to a room.
    for (const { pdu } of commit.timeline) own.get(pdu.sender)?.act()
    if (commit.memberChanges.joined.length === 0) return
    tellWhoCame(told, commit).catch((error: unknown) =>
      needs.log.warn('presence was not told', { roomId: commit.roomId, error }),
    )
  })
  return {
    isEnabled,
    syncing: async ({ userId, deviceId }, word, timeoutMs) => {
      if (!isEnabled || (word === 'offline' && !own.has(userId))) return
      const user = await of(userId)
      user.sync(deviceId, word, timeoutMs)
      forgetOver(userId)
    },
    set: async ({ userId, deviceId }, word, statusMsg) => {
      if (!isEnabled) return
      const user = await of(userId)
      await needs.db.write((tx) => setStatusMessage(tx, userId, statusMsg))
      user.set(deviceId, word, statusMsg)
      forgetOver(userId)
    },
    state: (userId) => {
      const state = states.get(userId)
      if (state === undefined || serverNameOf(userId) !== serverName) return remote.fresh(state)
      // The last active time must be up to date whenever the server gives a presence event.
      return { ...state, lastActiveTs: own.get(userId)?.lastActiveTs ?? state.lastActiveTs }
    },
    receive: async (origin, content) => {
      if (isEnabled) remote.receive(origin, content)
    },
    changed: (range) => states.changed(range),
    onChange: (listener) => {
      listeners.push(listener)
    },
  }
}

interface Telling extends PresenceNeeds {
  readonly states: PresenceStates
  readonly active: ActiveRooms
  readonly announce: (roomIds: readonly RoomId[], stream: number) => void
}

/** Notes how one of our users is, and tells our users and other servers that share rooms with them. */
async function tellOthers(
  needs: Telling,
  user: Told & { readonly userId: UserId; readonly lastActiveTs: number | undefined },
): Promise<void> {
  const { rooms, states, streams, active } = needs
  const { userId, presence, statusMsg, lastActiveTs } = user
  const roomIds = await roomsToTell(needs, userId)
  if (presence !== 'offline') active.use(roomIds)
  const currentlyActive = presence === 'online'
  const state = { presence, statusMsg, lastActiveTs, currentlyActive, stream: streams.take() }
  states.set(userId, state)
  needs.announce(roomIds, state.stream)
  const servers = new Set<ServerName>()
  for (const roomId of roomIds) {
    for (const server of await rooms.serversInRoom(roomId)) {
      if (servers.size < serversMax) servers.add(server)
    }
  }
  send(needs, [...servers], userId, state)
}

function send(
  { clock, edus }: Telling,
  servers: readonly ServerName[],
  userId: UserId,
  state: PresenceState,
): void {
  const update = { last_active_ago: 0, ...presenceContent(state, clock.now()), user_id: userId }
  const edu = { edu_type: 'm.presence', content: { push: [update] } }
  edus.sendEdu(servers, edu, `m.presence ${userId}`)
}

/** Tells servers that come to share a room with users of ours how these are, who did not change. */
async function tellWhoCame(needs: Telling, { roomId, memberChanges }: RoomCommit): Promise<void> {
  const { rooms, serverName } = needs
  const { joined, newServers } = memberChanges
  if ((await rooms.joinedMemberCount(roomId)) > membersMax) return
  const isOurs = (userId: UserId) => serverNameOf(userId) === serverName
  const tell = (userIds: readonly UserId[], servers: readonly ServerName[]) => {
    let count = 0
    for (const userId of servers.length === 0 ? [] : userIds) {
      const state = needs.states.get(userId)
      if (state === undefined || state.presence === 'offline' || !isOurs(userId)) continue
      if (++count > toldToNewMax) return
      send(needs, servers.slice(0, serversMax), userId, state)
    }
  }
  const others = newServers.filter((server) => server !== serverName)
  if (others.length > 0) tell((await rooms.currentState(roomId))?.joined() ?? [], others)
  const came = joined.filter(isOurs)
  if (came.length === 0) return
  if (came.some((userId) => needs.states.get(userId)?.currentlyActive)) needs.active.use([roomId])
  const told = new Set([serverName, ...others])
  const known = await rooms.serversInRoom(roomId)
  tell(
    came,
    [...known].filter((server) => !told.has(server)),
  )
}

async function roomsToTell({ rooms }: PresenceNeeds, userId: UserId): Promise<RoomId[]> {
  const memberships = await rooms.membershipsOf(userId)
  const joined = memberships.filter(({ membership }) => membership === 'join')
  const told: RoomId[] = []
  for (const { roomId } of joined) {
    if (told.length >= roomsMax) break
    if ((await rooms.joinedMemberCount(roomId)) <= membersMax) told.push(roomId)
  }
  return told
}
