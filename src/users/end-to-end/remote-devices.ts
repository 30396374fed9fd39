/**
 * The devices of other servers' users, kept while they share a room with one of ours.
 *
 * Their server tells us of each change, and of which change it follows. Where one was missed, the list
 * is in doubt: it is not given to anybody until it has been fetched anew. Of users who share no room
 * nothing is kept, since nobody would tell us when it is wrong.
 *
 * Invariant: what is kept and not stale is what the user's server has told last.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#device-management
 *
 * @module
 */

import type { EduReceiver } from '#federation/edus.ts'
import type { RemoteKeys } from '#federation/user-keys.ts'
import type { Clock, Timer } from '#io/clock.ts'
import { Limiter } from '#io/limiter.ts'
import type { Log } from '#io/log.ts'
import { Turns } from '#io/turns.ts'
import { detached } from '#io/wait-order.ts'
import { serverNameOf } from '#protocol/identifiers/common-format.ts'
import type { RoomId, UserId } from '#protocol/identifiers/ids.ts'
import { FederationError } from '#rooms/remote-servers.ts'
import type { Rooms } from '#rooms/rooms.ts'
import type { Database, Writer } from '#storage/database.ts'
import { touchDeviceList } from '#storage/device-lists.ts'
import {
  deleteRemoteDevice,
  deleteRemoteDeviceList,
  deleteRemoteDevices,
  type RemoteDeviceListRow,
  type RemoteDeviceRow,
  remoteDeviceLists,
  remoteDevicesOf,
  setRemoteDevice,
  setRemoteDeviceList,
  setStale,
  staleDeviceLists,
} from '#storage/remote-devices.ts'
import type { Streams } from '#storage/streams.ts'
import {
  newSigningKeys,
  ownUser,
  type RemoteList,
  type RemoteUpdate,
  readRemoteList,
  readRemoteUpdate,
  remoteDevicesMax,
  type UserKeySet,
} from './remote-lists.ts'
import { parseStored } from './stored-keys.ts'

/** How many lists are fetched at the same time without anybody waiting for them, and wait for it. */
const fetchesMax = 10
const waitingMax = 10_000
const fetchMs = 30_000
/** How long to wait after a failure at first, and at most. */
const pauseMsMin = 60_000
const pauseMsMax = 3_600_000
/** How many of the updates before the last one are remembered, since updates may branch. */
const seenMax = 20

export interface RemoteDevices {
  /** What is kept of these users and in no doubt. */
  known(userIds: readonly UserId[]): Promise<Map<UserId, UserKeySet>>
  /** Fetches a user's list, and keeps it if they share a room. Throws `FederationError`. */
  fetch(userId: UserId, timeoutMs: number): Promise<UserKeySet>
  /** Fetches a list while nobody waits for it. */
  fetchSoon(userId: UserId): void
  readonly receiveUpdate: EduReceiver
  readonly receiveSigningKeys: EduReceiver
  /** Something may have been missed of these users. */
  doubt(userIds: readonly UserId[]): Promise<void>
  /**
   * These users shared a room all the time, as it turns out, and we did not know. What they changed
   * meanwhile was told to no client.
   */
  wereStrangers(userIds: readonly UserId[]): Promise<void>
  /** Nobody tells us of a user any longer. */
  forget(userId: UserId): Promise<void>
  /** Fetches the lists that were in doubt when the server ended. */
  resume(): Promise<void>
  close(): void
}

export interface RemoteDeviceNeeds {
  readonly db: Database
  readonly clock: Pick<Clock, 'after'>
  readonly log: Pick<Log, 'error' | 'info'>
  readonly streams: Pick<Streams, 'write'>
  readonly rooms: Pick<Rooms, 'joinedRoomsOf'>
  readonly remoteKeys: Pick<RemoteKeys, 'devices'>
  /** Tells clients that a user has other keys. */
  readonly told: (userId: UserId, roomIds: readonly RoomId[], stream: number) => void
}

export function createRemoteDevices(needs: RemoteDeviceNeeds): RemoteDevices {
  return new KeptDevices(needs)
}

interface Fetched {
  readonly keys: UserKeySet
  /** Whether an update was heard of that the list does not have. */
  readonly isOutdated: boolean
}

class KeptDevices implements RemoteDevices {
  readonly #needs: RemoteDeviceNeeds
  readonly #turns = new Turns('remote devices')
  readonly #limiter = new Limiter(fetchesMax, 'fetches of devices')
  readonly #fetching = new Map<UserId, Promise<Fetched>>()
  /** The newest update that was heard of while a list was being fetched. */
  readonly #heard = new Map<UserId, number>()
  /** Lists to be fetched: with a timer if that is to be later. */
  readonly #waiting = new Map<UserId, Timer | undefined>()
  #isClosed = false

  constructor(needs: RemoteDeviceNeeds) {
    this.#needs = needs
  }

  async known(userIds: readonly UserId[]): Promise<Map<UserId, UserKeySet>> {
    const { db } = this.#needs
    const lists = (await remoteDeviceLists(db, userIds)).filter(({ stale }) => stale === 0)
    const rows = await remoteDevicesOf(
      db,
      lists.map(({ user_id }) => user_id),
    )
    const devices = Map.groupBy(rows, ({ user_id }) => user_id)
    return new Map(lists.map((list) => [list.user_id, keySet(list, devices.get(list.user_id))]))
  }

  async fetch(userId: UserId, timeoutMs: number): Promise<UserKeySet> {
    const underWay = this.#fetching.get(userId)
    if (underWay !== undefined) return (await underWay).keys
    const fetching = this.#fetchOnce(userId, timeoutMs)
    this.#fetching.set(userId, fetching)
    try {
      const { keys, isOutdated } = await fetching
      this.#fetching.delete(userId)
      if (isOutdated) this.fetchSoon(userId)
      return keys
    } finally {
      this.#fetching.delete(userId)
      this.#heard.delete(userId)
    }
  }

  fetchSoon(userId: UserId): void {
    this.#fetchAfter(userId, 0, pauseMsMin)
  }

  receiveUpdate: EduReceiver = async (origin, content) => {
    const update = readRemoteUpdate(origin, content)
    if (update === undefined) return
    const { userId, streamId } = update
    await this.#turns.run(userId, async () => {
      if (this.#fetching.has(userId)) {
        this.#heard.set(userId, Math.max(streamId, this.#heard.get(userId) ?? streamId))
      }
      await this.#apply(update)
    })
  }

  receiveSigningKeys: EduReceiver = async (origin, content) => {
    const userId = ownUser(origin, content.user_id)
    if (userId === undefined) return
    await this.#turns.run(userId, async () => {
      // Whether the list that is being fetched has these already cannot be said.
      if (this.#fetching.has(userId)) this.#heard.set(userId, Number.POSITIVE_INFINITY)
      const [list] = await remoteDeviceLists(this.#needs.db, [userId])
      if (list === undefined) {
        // Nobody keeps it here, but clients may have asked.
        await this.#change(userId, () => {})
        return
      }
      const keys = newSigningKeys(userId, content, list)
      if (keys === 'same') return
      await this.#change(userId, (tx) => {
        if (keys === 'doubtful') setStale(tx, userId)
        else setRemoteDeviceList(tx, { ...list, ...keys })
      })
      if (keys === 'doubtful') this.fetchSoon(userId)
    })
  }

  async doubt(userIds: readonly UserId[]): Promise<void> {
    const lists = await remoteDeviceLists(this.#needs.db, userIds)
    for (const { user_id: userId } of lists) {
      await this.#turns.run(userId, () => this.#change(userId, (tx) => setStale(tx, userId)))
      this.fetchSoon(userId)
    }
  }

  async wereStrangers(userIds: readonly UserId[]): Promise<void> {
    for (const userId of userIds) {
      await this.#turns.run(userId, async () => {
        // Who shared another room with us was no stranger.
        const [list] = await remoteDeviceLists(this.#needs.db, [userId])
        if (list === undefined) await this.#change(userId, () => {})
      })
    }
  }

  async forget(userId: UserId): Promise<void> {
    const { db } = this.#needs
    await this.#turns.run(userId, () => db.write((tx) => deleteRemoteDeviceList(tx, userId)))
  }

  async resume(): Promise<void> {
    for (const userId of await staleDeviceLists(this.#needs.db, waitingMax)) this.fetchSoon(userId)
  }

  close(): void {
    this.#isClosed = true
    for (const timer of this.#waiting.values()) timer?.cancel()
  }

  async #fetchOnce(userId: UserId, timeoutMs: number): Promise<Fetched> {
    const { db, rooms, remoteKeys } = this.#needs
    const answer = await remoteKeys.devices(serverNameOf(userId), userId, timeoutMs)
    const list = readRemoteList(userId, answer)
    return await this.#turns.run(userId, async () => {
      const heard = this.#heard.get(userId) ?? list.streamId
      const isOutdated = heard > list.streamId
      const row = listRow(userId, list, isOutdated)
      const fetched = { keys: keySet(row, list.devices), isOutdated }
      if ((await rooms.joinedRoomsOf(userId)).length === 0) return { ...fetched, isOutdated: false }
      await db.write((tx) => {
        setRemoteDeviceList(tx, row)
        deleteRemoteDevices(tx, userId)
        for (const device of list.devices) setRemoteDevice(tx, userId, device)
      })
      return fetched
    })
  }

  #fetchAfter(userId: UserId, delayMs: number, pauseMs: number): void {
    const { clock, log } = this.#needs
    if (this.#isClosed || this.#waiting.has(userId) || this.#waiting.size >= waitingMax) return
    const start = () => {
      this.#waiting.set(userId, undefined)
      // Nobody waits for it.
      detached(() => this.#limiter.run(() => this.#fetchAlone(userId, pauseMs))).catch(
        (error: unknown) => log.error('a device list is not kept', { userId, error }),
      )
    }
    this.#waiting.set(userId, undefined)
    if (delayMs === 0) start()
    else this.#waiting.set(userId, clock.after(delayMs, start))
  }

  async #fetchAlone(userId: UserId, pauseMs: number): Promise<void> {
    this.#waiting.delete(userId)
    if (this.#isClosed) return
    try {
      await this.fetch(userId, fetchMs)
      // Who asked in vain while there was no answer asks again.
      if (pauseMs > pauseMsMin) await this.#change(userId, () => {})
    } catch (error) {
      if (!(error instanceof FederationError)) throw error
      this.#needs.log.info('a device list cannot be fetched', { userId, reason: error.message })
      const delayMs = Math.max(pauseMs, error.retryAfterMs ?? 0)
      this.#fetchAfter(userId, delayMs, Math.min(pauseMs * 2, pauseMsMax))
    }
  }

  async #apply(update: RemoteUpdate): Promise<void> {
    const { db } = this.#needs
    const { userId, streamId, prevIds } = update
    const [list] = await remoteDeviceLists(db, [userId])
    if (list === undefined) {
      // Nobody keeps it here, but clients may have asked.
      await this.#change(userId, () => {})
      return
    }
    const seen = JSON.parse(list.seen) as number[]
    const known = [...seen, list.stream_id]
    if (list.stale === 0 && known.includes(streamId)) return
    // If a server receives an EDU which refers to a `prev_id` it does not recognise, it must
    // resynchronise its list. It may be missing or empty for the first EDU in a sequence.
    const isNext = prevIds.length > 0 && prevIds.every((prev) => known.includes(prev))
    if (list.stale === 1 || !isNext) {
      await this.#change(userId, (tx) => setStale(tx, userId))
      this.fetchSoon(userId)
      return
    }
    const next = { ...list, stream_id: streamId, seen: JSON.stringify(known.slice(-seenMax)) }
    await this.#replace(update, next)
  }

  async #replace(update: RemoteUpdate, list: RemoteDeviceListRow): Promise<void> {
    const { db } = this.#needs
    const { userId, deviceId, device } = update
    const devices = await remoteDevicesOf(db, [userId])
    const before = devices.find(({ device_id }) => device_id === deviceId)
    const isFull = before === undefined && devices.length >= remoteDevicesMax
    const isSame =
      before?.keys_json === device?.keys_json && before?.display_name === device?.display_name
    if (isSame || isFull) {
      await db.write((tx) => setRemoteDeviceList(tx, list))
      return
    }
    await this.#change(userId, (tx) => {
      setRemoteDeviceList(tx, list)
      if (device === undefined) deleteRemoteDevice(tx, userId, deviceId)
      else setRemoteDevice(tx, userId, device)
    })
  }

  /** Writes, and tells clients that the user has other keys, if any of them shares a room. */
  async #change(userId: UserId, collect: (tx: Writer) => void): Promise<void> {
    const { db, streams, rooms, told } = this.#needs
    const roomIds = await rooms.joinedRoomsOf(userId)
    if (roomIds.length === 0) {
      await db.write((tx) => deleteRemoteDeviceList(tx, userId))
      return
    }
    const stream = await streams.write(1, (tx, position) => {
      collect(tx)
      touchDeviceList(tx, userId, position)
      return position
    })
    told(userId, roomIds, stream)
  }
}

function listRow(userId: UserId, list: RemoteList, isStale: boolean): RemoteDeviceListRow {
  return {
    user_id: userId,
    stream_id: list.streamId,
    seen: '[]',
    stale: isStale ? 1 : 0,
    master_key_json: list.masterKeyJson,
    self_signing_key_json: list.selfSigningKeyJson,
  }
}

function keySet(list: RemoteDeviceListRow, devices: readonly RemoteDeviceRow[] = []): UserKeySet {
  const { master_key_json: master, self_signing_key_json: selfSigning } = list
  const shown = devices.map(({ device_id, keys_json, display_name }) => {
    const unsigned = display_name === null ? {} : { device_display_name: display_name }
    return [device_id, { ...parseStored(keys_json), unsigned }] as const
  })
  return {
    devices: Object.fromEntries(shown),
    masterKey: master === null ? undefined : parseStored(master),
    selfSigningKey: selfSigning === null ? undefined : parseStored(selfSigning),
  }
}
