/**
 * Keeps up who is in which room, and how they are shown there, in the background: joining must not wait
 * for it. Whoever searches waits until it has come as far as the rooms have, within reason.
 *
 * A name that is shown in a room says nothing outside of it, so each is kept with its room. Users of this
 * server are shown by their profile instead, and that is written in the commit of the profile.
 *
 * @module
 */

import type { Clock } from '#io/clock.ts'
import type { Log } from '#io/log.ts'
import { readHistoryVisibility } from '#protocol/history-visibility.ts'
import { serverNameOf } from '#protocol/identifiers/common-format.ts'
import type { EventId, RoomId, ServerName, UserId } from '#protocol/identifiers/ids.ts'
import { parseUserId } from '#protocol/identifiers/user-id.ts'
import type { RoomCommit, Rooms, StateView } from '#rooms/rooms.ts'
import { accountsAfter } from '#storage/accounts.ts'
import type { Database } from '#storage/database.ts'
import { profileFieldsOf } from '#storage/profiles.ts'
import type { Streams } from '#storage/streams.ts'
import {
  addDirectoryUser,
  deleteDirectoryMember,
  deleteDirectoryRoom,
  directoryMembersOf,
  directoryProgress,
  directoryRoom,
  putDirectoryMember,
  putDirectoryRoom,
  type Shown,
  setDirectoryAccounts,
  setDirectoryStream,
  shownBy,
} from '#storage/user-directory.ts'

/** How many members of a room, or accounts, a unit writes. */
const pageSize = 100
/** How long others have the machine after a unit, and before the first that a commit leads to. */
const pauseMs = 100
const wakeMs = 1_000
/** How long somebody who searches waits at most. */
const waitMs = 5_000
export interface UserIndex {
  /** Begins with what was not finished before. Call it once. */
  start(): void
  /** Waits until what was committed is known, but not for long. */
  catchUp(): Promise<void>
  close(): Promise<void>
}

export interface UserIndexNeeds {
  readonly db: Database
  readonly clock: Clock
  readonly log: Log
  readonly serverName: ServerName
  readonly streams: Pick<Streams, 'settled'>
  readonly rooms: Pick<
    Rooms,
    'currentState' | 'events' | 'localMembers' | 'onCommit' | 'roomsWithStateSince' | 'stateChanges'
  >
}

export function createUserIndex(needs: UserIndexNeeds): UserIndex {
  return new BackgroundIndex(needs)
}

const relevantTypes = new Set(['m.room.member', 'm.room.join_rules', 'm.room.history_visibility'])

class BackgroundIndex implements UserIndex {
  readonly #needs: UserIndexNeeds
  readonly #end = new AbortController()
  /** The rooms that may have changed, each with the last position at which it did. */
  readonly #changed = new Map<RoomId, number>()
  #running: Promise<void> | undefined
  /** Up to where in the stream commits were told of. */
  #told = 0
  #isCaughtUp = false
  /** How many wait: then there are no pauses, and the one that there may be ends. */
  #waiting = 0
  #hurry = new AbortController()

  constructor(needs: UserIndexNeeds) {
    this.#needs = needs
    needs.rooms.onCommit((commit) => this.#note(commit))
  }

  start(): void {
    this.#wake(wakeMs)
  }

  async catchUp(): Promise<void> {
    const { clock } = this.#needs
    const done = new AbortController()
    const signal = AbortSignal.any([done.signal, this.#end.signal])
    this.#waiting += 1
    this.#hurry.abort()
    try {
      const enough = clock.sleep(waitMs, signal).catch(() => {})
      await Promise.race([this.#finish(), enough])
    } finally {
      this.#waiting -= 1
      done.abort()
    }
  }

  async close(): Promise<void> {
    this.#end.abort()
    await this.#running
  }

  /** What is noted while one work ends is done by the next one. */
  async #finish(): Promise<void> {
    await this.#running
    this.#wake(0)
    await this.#running
  }

  #note({ roomId, stream, stateChanges, memberships }: RoomCommit): void {
    this.#told = Math.max(this.#told, stream)
    const concerns =
      memberships.length > 0 || stateChanges.some(({ type }) => relevantTypes.has(type))
    if (!concerns) return
    this.#changed.set(roomId, stream)
    this.#wake(wakeMs)
  }

  #wake(delayMs: number): void {
    if (this.#running !== undefined || this.#end.signal.aborted) return
    if (this.#isCaughtUp && this.#changed.size === 0) return
    this.#running = this.#work(delayMs)
      .catch((error: unknown) => this.#failed(error))
      .finally(() => {
        this.#running = undefined
        if (this.#isCaughtUp) this.#wake(wakeMs)
      })
  }

  #failed(error: unknown, roomId?: RoomId): void {
    if (this.#end.signal.aborted) return
    this.#needs.log.error('users are not indexed', { error, ...(roomId && { roomId }) })
  }

  async #work(delayMs: number): Promise<void> {
    const { db, streams } = this.#needs
    if (delayMs > 0) await this.#pause(delayMs)
    if (!this.#isCaughtUp) await this.#noteMissed()
    for (const [roomId, stream] of this.#changed) {
      this.#changed.delete(roomId)
      const to = Math.max(stream, streams.settled())
      // What is missed of a room is made up for when something changes there.
      await this.#indexRoom(roomId, to).catch((error: unknown) => this.#failed(error, roomId))
      this.#end.signal.throwIfAborted()
      const told = this.#told
      if (this.#changed.size === 0) await db.write((tx) => setDirectoryStream(tx, told))
    }
  }

  /** What happened before this program ran, and what was never looked at. */
  async #noteMissed(): Promise<void> {
    const { db, rooms, streams } = this.#needs
    const { stream, accounts } = await directoryProgress(db)
    if (accounts !== null) await this.#indexAccounts(accounts)
    const settled = streams.settled()
    for (const roomId of await rooms.roomsWithStateSince(stream)) {
      this.#changed.set(roomId, Math.max(settled, this.#changed.get(roomId) ?? 0))
    }
    this.#told = Math.max(this.#told, settled)
    this.#isCaughtUp = true
  }

  async #indexAccounts(from: string): Promise<void> {
    const { db } = this.#needs
    for (let after = from; ; ) {
      const accounts = await accountsAfter(db, after, pageSize)
      const last = accounts.at(-1)?.user_id ?? null
      const open = accounts.filter((account) => account.deactivated_ts === null)
      const users = await Promise.all(
        open.map(async ({ user_id: userId }) => ({ userId, shown: await ownShown(db, userId) })),
      )
      await db.write((tx) => {
        for (const { userId, shown } of users) addDirectoryUser(tx, userId, shown)
        setDirectoryAccounts(tx, last)
      })
      if (last === null) return
      after = last
      await this.#pause(pauseMs)
    }
  }

  async #indexRoom(roomId: RoomId, to: number): Promise<void> {
    const { db, rooms } = this.#needs
    const known = await directoryRoom(db, roomId)
    if (known === undefined) return
    const roomNid = known.room_nid
    const isOurs = (await rooms.localMembers(roomId)).length > 0
    const state = isOurs ? await rooms.currentState(roomId) : undefined
    if (state === undefined || known.stream === null) await this.#forgetRoom(roomNid)
    if (state === undefined) return
    const changes =
      known.stream === null
        ? memberIds(state)
        : await changedMembers(rooms, roomId, { from: known.stream, to })
    await this.#indexMembers(roomId, roomNid, changes)
    const isPublic = await areMembersPublic(state)
    await db.write((tx) => putDirectoryRoom(tx, { roomNid, stream: to, isPublic }))
  }

  async #indexMembers(
    roomId: RoomId,
    roomNid: number,
    changes: readonly MemberId[],
  ): Promise<void> {
    const { db, rooms, serverName } = this.#needs
    for (let at = 0; at < changes.length; at += pageSize) {
      if (at > 0) await this.#pause(pauseMs)
      const page = changes.slice(at, at + pageSize)
      const ids = page.flatMap(({ eventId }) => eventId ?? [])
      const events = await rooms.events(roomId, ids)
      const contents = new Map(events.map(({ pdu }) => [pdu.event_id, pdu.content]))
      await db.write((tx) => {
        for (const { userId, eventId } of page) {
          const content = eventId && contents.get(eventId)
          const member = { roomNid, userId }
          const isLocal = serverNameOf(userId) === serverName
          if (content?.membership !== 'join') deleteDirectoryMember(tx, member)
          else putDirectoryMember(tx, member, isLocal ? notShown : shownBy(content))
        }
      })
    }
  }

  async #forgetRoom(roomNid: number): Promise<void> {
    const { db } = this.#needs
    await db.write((tx) => deleteDirectoryRoom(tx, roomNid))
    for (;;) {
      const members = await directoryMembersOf(db, roomNid, pageSize)
      if (members.length === 0) return
      await db.write((tx) => {
        for (const userId of members) deleteDirectoryMember(tx, { roomNid, userId })
      })
      await this.#pause(pauseMs)
    }
  }

  async #pause(durationMs: number): Promise<void> {
    const { clock } = this.#needs
    const { signal } = this.#end
    if (this.#waiting === 0) {
      this.#hurry = new AbortController()
      const either = AbortSignal.any([signal, this.#hurry.signal])
      await clock.sleep(durationMs, either).catch(() => {})
    }
    signal.throwIfAborted()
  }
}

/** A user whose membership may have changed, and the event that says what it is now. */
interface MemberId {
  readonly userId: UserId
  readonly eventId: EventId | undefined
}

function memberIds(state: StateView): MemberId[] {
  return state.ids().flatMap(({ type, stateKey, eventId }) => {
    const userId = type === 'm.room.member' ? parseUserId(stateKey) : undefined
    return userId !== undefined && state.isJoined(userId) ? [{ userId, eventId }] : []
  })
}

async function changedMembers(
  rooms: Pick<Rooms, 'stateChanges'>,
  roomId: RoomId,
  range: { readonly from: number; readonly to: number },
): Promise<MemberId[]> {
  const changes = await rooms.stateChanges(roomId, range)
  return changes.flatMap(({ type, stateKey, after }) => {
    const userId = type === 'm.room.member' ? parseUserId(stateKey) : undefined
    return userId === undefined ? [] : [{ userId, eventId: after }]
  })
}

/** Whether users are to be found who are in the room, also by those who are not. */
async function areMembersPublic(state: StateView): Promise<boolean> {
  const joinRules = await state.event('m.room.join_rules', '')
  if (joinRules?.content.join_rule === 'public') return true
  const visibility = await state.event('m.room.history_visibility', '')
  return readHistoryVisibility(visibility?.content) === 'world_readable'
}

const notShown: Shown = { name: '', avatarUrl: '' }

async function ownShown(db: Database, userId: UserId): Promise<Shown> {
  const rows = await profileFieldsOf(db, userId)
  return shownBy(Object.fromEntries(rows.map((row) => [row.field, JSON.parse(row.value_json)])))
}
