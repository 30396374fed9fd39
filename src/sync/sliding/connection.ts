/**
 * Connections of sliding sync: what each client has been told of rooms, so that it is told only what is
 * news to it.
 *
 * A `pos` names the connection, a version of what its client knows of rooms, and a position of the
 * stream. A new version is made, and durable before the client hears of it, when what is known of some
 * room changes otherwise than by the stream going on. A client that asks again with the `pos` before
 * has not had the answer: what it said is taken back. Any older one is unknown, as is that of a
 * connection that was given up; the client begins anew then.
 *
 * https://github.com/matrix-org/matrix-spec-proposals/pull/4186
 *
 * @module
 */

import { LRUCache } from 'lru-cache'
import type { Clock } from '#io/clock.ts'
import type { RoomId } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Database } from '#storage/database.ts'
import type { DeviceRef } from '#storage/device-keys.ts'
import {
  addConnection,
  type ConnectionRow,
  connectionsOf,
  deleteConnection,
  deleteConnectionOfName,
  forgetSentAfter,
  highestConnectionNid,
  putSentRoom,
  sentRooms,
  setConnection,
} from '#storage/sliding-sync.ts'

/** How many connections a device may have; the one that was not used for longest is given up. */
const connectionsOfDeviceMax = 16
/** How many different wishes for rooms a connection may have had; it is given up with more. */
const configsMax = 200
/** How long these may be together, in UTF-16 units: they are kept, and each is as long as a request. */
const configsLengthMax = 1_048_576
/** How many rooms of connections are kept in memory, of all clients together. */
const rememberedMax = 500_000

/** What a client knows of a room. */
export interface SentRoom {
  /** Up to where in the stream; `undefined` for as far as all else that it knows. */
  readonly upTo: number | undefined
  /** What it wanted of the room then, as a text. */
  readonly config: string
  readonly isDm: boolean
}

interface StoredRoom extends SentRoom {
  /** The version that said so. */
  readonly version: number
}

type SentRooms = ReadonlyMap<RoomId, StoredRoom>

/** One request's hold of a connection. */
export interface OpenConnection {
  /** Up to where the client knows everything; `undefined` if it knows nothing. */
  readonly since: number | undefined
  readonly rooms: ReadonlyMap<RoomId, SentRoom>
  /**
   * Notes what an answer will say, durably, and gives the answer's `pos`. Throws 400 `M_UNKNOWN_POS`
   * if the client has asked again meanwhile.
   */
  advance(changes: ReadonlyMap<RoomId, SentRoom>, to: number): Promise<string>
}

export interface Connections {
  /** Throws 400 `M_UNKNOWN_POS` for a `pos` that cannot be gone on from. */
  open(device: DeviceRef, connId: string, pos: string | undefined): Promise<OpenConnection>
}

interface Connection {
  readonly nid: number
  readonly configs: string[]
  version: number
  rooms: SentRooms
  /** What the client knew before the answer with `version`, which it may not have. */
  before: SentRooms | undefined
  /** Which request holds it. */
  holder: object
}

export function createConnections(needs: {
  readonly db: Database
  readonly clock: Pick<Clock, 'now'>
}): Connections {
  const { db } = needs
  const remembered = new LRUCache<number, Connection>({
    maxSize: rememberedMax,
    sizeCalculation: ({ rooms }) => rooms.size + 1,
  })
  let highest: number | undefined
  /** Whoever fails to read what was given out has given out nothing. */
  const nextNid = async () => {
    const stored = highest ?? (await highestConnectionNid(db))
    highest = (highest ?? stored) + 1
    return highest
  }
  const begin = async (device: DeviceRef, connId: string, known: readonly ConnectionRow[]) => {
    const nid = await nextNid()
    const others = known.filter((row) => row.conn_id !== connId)
    const ended = [
      ...known.filter((row) => row.conn_id === connId),
      ...others.slice(connectionsOfDeviceMax - 1),
    ]
    await db.write((tx) => {
      for (const row of ended) deleteConnection(tx, row.connection_nid)
      // Another request may have begun it at the same time, whose answer nobody waits for any more.
      deleteConnectionOfName(tx, device, connId)
      const row = { connection_nid: nid, conn_id: connId, used_ts: needs.clock.now() }
      addConnection(tx, device, row)
    })
    for (const row of ended) remembered.delete(row.connection_nid)
    return connection(nid, { configs: [], version: 0, rooms: new Map() })
  }
  return {
    open: async (device, connId, text) => {
      const known = await connectionsOf(db, device)
      const pos = text === undefined ? undefined : parsePos(text)
      if (pos === undefined) {
        const begun = await begin(device, connId, known)
        remembered.set(begun.nid, begun)
        return hold(needs, remembered, begun, undefined)
      }
      const row = known.find((one) => one.conn_id === connId && one.connection_nid === pos.nid)
      if (row === undefined) throw unknownPos()
      const found = remembered.get(pos.nid) ?? (await load(db, row, pos.version))
      goBackTo(found, pos.version)
      remembered.set(found.nid, found)
      return hold(needs, remembered, found, pos.stream)
    },
  }
}

function connection(
  nid: number,
  of: { readonly configs: string[]; readonly version: number; readonly rooms: SentRooms },
): Connection {
  return { nid, ...of, before: undefined, holder: {} }
}

async function load(db: Database, row: ConnectionRow, version: number): Promise<Connection> {
  const configs: string[] = JSON.parse(row.configs_json)
  const rows = await sentRooms(db, row.connection_nid, version)
  const rooms = new Map(
    rows.map(({ room_id, up_to, config, is_dm, version: since }) => [
      room_id,
      {
        upTo: up_to ?? undefined,
        config: configs[config] ?? '',
        isDm: is_dm === 1,
        version: since,
      },
    ]),
  )
  return connection(row.connection_nid, { configs, version, rooms })
}

/** Takes back what the last answer said, if the client does not have it. */
function goBackTo(found: Connection, version: number): void {
  if (version === found.version - 1 && found.before !== undefined) {
    found.rooms = found.before
    found.version = version
  }
  if (version !== found.version) throw unknownPos()
  found.before = undefined
}

function hold(
  { db, clock }: { readonly db: Database; readonly clock: Pick<Clock, 'now'> },
  remembered: LRUCache<number, Connection>,
  held: Connection,
  since: number | undefined,
): OpenConnection {
  const holder = {}
  held.holder = holder
  const { rooms, version, nid } = held
  return {
    since,
    rooms,
    advance: async (changes, to) => {
      if (held.holder !== holder) throw unknownPos()
      if (changes.size === 0) return formatPos({ nid, version, stream: to })
      const next = version + 1
      const after = new Map(rooms)
      for (const [roomId, sent] of changes) after.set(roomId, { ...sent, version: next })
      const numbers = numberConfigs(held.configs, changes)
      // Whoever asks meanwhile finds it as it will be.
      Object.assign(held, { rooms: after, version: next, before: rooms })
      await db.write((tx) => {
        forgetSentAfter(tx, nid, version)
        const configs_json = JSON.stringify(held.configs)
        setConnection(tx, { connection_nid: nid, used_ts: clock.now(), configs_json })
        for (const [roomId, { upTo, config, isDm }] of changes) {
          const row = {
            room_id: roomId,
            version: next,
            up_to: upTo ?? null,
            config: numbers.get(config) ?? 0,
            is_dm: Number(isDm),
          }
          putSentRoom(tx, nid, row, rooms.get(roomId)?.version)
        }
      })
      remembered.set(nid, held)
      return formatPos({ nid, version: next, stream: to })
    },
  }
}

/** The numbers of what clients wanted of rooms. */
function numberConfigs(
  configs: string[],
  changes: ReadonlyMap<RoomId, SentRoom>,
): ReadonlyMap<string, number> {
  const numbers = new Map(configs.map((config, index) => [config, index]))
  let length = configs.reduce((sum, config) => sum + config.length, 0)
  for (const { config } of changes.values()) {
    if (numbers.has(config)) continue
    length += config.length
    if (configs.length === configsMax || length > configsLengthMax) throw unknownPos()
    numbers.set(config, configs.length)
    configs.push(config)
  }
  return numbers
}

interface Pos {
  readonly nid: number
  readonly version: number
  readonly stream: number
}

function formatPos({ nid, version, stream }: Pos): string {
  return `${nid}_${version}_${stream}`
}

/** The position of the stream that a `pos` names; `undefined` for what is none. */
export function streamOfPos(text: string): number | undefined {
  return posIn(text)?.stream
}

function parsePos(text: string): Pos {
  const pos = posIn(text)
  if (pos === undefined) throw unknownPos()
  return pos
}

function posIn(text: string): Pos | undefined {
  const [, nid, version, stream] = /^(\d{1,15})_(\d{1,15})_(\d{1,15})$/.exec(text) ?? []
  if (stream === undefined) return undefined
  return { nid: Number(nid), version: Number(version), stream: Number(stream) }
}

function unknownPos(): MatrixError {
  return new MatrixError(400, 'M_UNKNOWN_POS', 'This position is not known (any more); begin anew.')
}
