/**
 * The cells of the ingress matrix: events that are wrong in one way each, made to be brought by one
 * route, and what a server must not have or must have of them afterwards.
 *
 * @module
 */

import assert from 'node:assert/strict'
import type { EventId, RoomId } from '../../src/protocol/identifiers/ids.ts'
import type { RoomVersion } from '../../src/protocol/room-version.ts'
import { type Database, sql } from '../../src/storage/database.ts'
import { eventStatuses } from '../../src/storage/events.ts'
import { FederationWorld, type TestServer } from '../federation-world.ts'
import { idOf, type RawEvent, sealed, textOf } from '../scripted-peer/forged-event.ts'
import type { PeerRoom } from '../scripted-peer/peer-room.ts'
import { ScriptedPeer } from '../scripted-peer/scripted-peer.ts'
import type { Fate, Forge, Malformation } from './malformation.ts'
import { fateOf, malformationsOf } from './malformations.ts'

/** A server, and a played one that lies to it. */
export interface Scene {
  readonly world: FederationWorld
  readonly version: RoomVersion
  readonly a: TestServer
  readonly peer: ScriptedPeer
  readonly forge: Forge
  readonly count: () => number
}

export async function openScene(version: RoomVersion): Promise<Scene> {
  const world = new FederationWorld()
  const [a] = await world.start('a')
  const peer = await ScriptedPeer.inWorld(world, 'p')
  const other = await ScriptedPeer.inWorld(world, 'o')
  const forge = {
    version,
    signer: peer.signer,
    old: peer.old,
    impostor: { ...other.old, serverName: peer.name, keyId: peer.signer.keyId },
    other: other.signer,
    otherRoom: (version.roomIdIsCreateEventId ? `!${'o'.repeat(43)}` : '!o:o.test') as RoomId,
  }
  let counted = 0
  return { world, version, a, peer, forge, count: () => ++counted }
}

export interface Cell {
  readonly name: string
  /** What must become of it. */
  readonly fate: Fate
  /** What is sent. */
  readonly text: string
  /** The IDs that it may be taken to have, as it was meant and as it is. */
  readonly ids: readonly string[]
  readonly id: string
  /** A text that is in its content and in nothing else. */
  readonly canary: string
  readonly isFull: boolean
}

export interface RouteOptions {
  /** Whether the limits on references are for what comes by it. */
  readonly isForNewEvents?: boolean
}

/** An event for each malformation, and sound ones between them. */
export function cellsOf(
  scene: Scene,
  draft: (fate: Fate) => RawEvent | Promise<RawEvent>,
  options: RouteOptions = {},
): Promise<Cell[]> {
  const fitting = malformationsOf(scene.version).filter(
    ({ ofNewEvents = false }) => !ofNewEvents || options.isForNewEvents,
  )
  const all = fitting.flatMap((one, at) => (at % 12 === 5 ? [sound, one] : [one]))
  return Array.fromAsync([...all, sound], (one) => cellOf(scene, one, draft))
}

const sound: Malformation = {
  name: 'in order',
  fate: 'accepted',
  make: (event, { version, signer }) => textOf(sealed(version, event, signer)),
}

async function cellOf(
  { version, forge, peer, count }: Scene,
  malformation: Malformation,
  draft: (fate: Fate) => RawEvent | Promise<RawEvent>,
): Promise<Cell> {
  const fate = fateOf(malformation, version)
  const number = count()
  const canary = `canary ${number}.`
  const made = await draft(fate)
  const event = {
    ...made,
    ...(version.eventId === 'in-event' ? { event_id: `$c${number}:${peer.name}` } : {}),
    origin: peer.name,
    origin_server_ts: Number(made.origin_server_ts) + number,
    content: { ...(made.content as object), canary },
  }
  const text = malformation.make(event, forge)
  const meant = idOf(version, sealed(version, event, forge.signer))
  const id = idOf(version, JSON.parse(text))
  const { name, isFull = false } = malformation
  return { name, fate, text, ids: [...new Set([meant, id])], id, canary, isFull }
}

/** All that a server has stored, as texts of rows by table. */
export async function rowsOf(db: Database): Promise<Map<string, string>> {
  const tables = await db.all<{ name: string }>(
    sql`SELECT name FROM sqlite_master WHERE type = 'table'`,
  )
  const rows = new Map<string, string>()
  for (const { name } of tables) {
    const statement = { texts: [`SELECT * FROM "${name}"`], values: [] }
    const values = (await db.all<Record<string, unknown>>(statement)).map((row) =>
      Object.values(row).map((value) =>
        value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : String(value),
      ),
    )
    rows.set(name, values.map((row) => row.join('\t')).join('\n'))
  }
  return rows
}

/** What a server thinks of its events, by their IDs. */
export async function verdictsOf({ life: { db } }: TestServer): Promise<Map<string, number>> {
  const rows = await db.all<{ event_id: string; status: number }>(
    sql`SELECT event_id, status FROM events`,
  )
  return new Map(rows.map(({ event_id, status }) => [event_id, status]))
}

/** Checks that of each cell there is what must be, and nothing else, in any table. */
export async function assertFates(
  scene: Scene,
  route: string,
  cells: readonly Cell[],
  { status: expected = 'accepted' as (typeof eventStatuses)[number] } = {},
): Promise<void> {
  const { a, version } = scene
  const rows = await rowsOf(a.life.db)
  const verdicts = await verdictsOf(a)
  const tablesWith = (text: string) =>
    [...rows].filter(([, row]) => row.includes(text)).map(([table]) => table)
  for (const { name, fate, ids, id, canary } of cells) {
    const label = `version ${version.id}, ${route}: ${name}`
    const stored = eventStatuses[verdicts.get(id) ?? -1]
    switch (fate) {
      case 'dropped':
        assert.deepEqual(tablesWith(canary), [], label)
        assert.deepEqual(
          ids.filter((one) => verdicts.has(one)),
          [],
          label,
        )
        break
      case 'rejected':
        // Of an outlier, only its auth events are looked at.
        if (expected === 'outlier' && name.startsWith('prev_events')) break
        assert.ok(stored === undefined || stored === 'rejected', `${label}: ${stored}`)
        break
      case 'redacted':
        assert.deepEqual(tablesWith(canary), [], label)
        assert.equal(stored, expected, label)
        break
      case 'accepted':
        assert.equal(stored, expected, label)
        assert.ok(tablesWith(canary).includes('events'), label)
    }
  }
  assert.deepEqual(a.errors, [], route)
}

export function eventIdsOf(cells: readonly Cell[], ...fates: readonly Fate[]): EventId[] {
  return cells.filter(({ fate }) => fates.includes(fate)).map(({ id }) => id as EventId)
}

/** A state event of a room, of a type of its own. */
export const stateDraft = (scene: Scene, room: PeerRoom) => () =>
  room.draft(scene.peer.user('u'), `c.${scene.count()}`, {}, { stateKey: '' })
