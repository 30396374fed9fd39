/**
 * What each server holds of each room: for the invariants, and for looking into a failure (`--show`).
 *
 * @module
 */

import type { EventId, RoomId } from '../../src/protocol/identifiers/ids.ts'
import { sql } from '../../src/storage/database.ts'
import { eventStatuses } from '../../src/storage/events.ts'
import { roomRow } from '../../src/storage/rooms.ts'
import { count, type Run } from './run.ts'
import type { SimulatedServer } from './simulated-server.ts'

interface Row {
  readonly event_id: string
  readonly status: number
  readonly stream: number | null
  readonly sub: number | null
  readonly state_after: number | null
  readonly bytes: Uint8Array
  readonly rule: string | null
}

export async function showRooms(run: Run): Promise<void> {
  for (const { roomId, version } of run.rooms) {
    console.log(`room ${roomId}, version ${version}`)
    for (const server of run.world.servers) {
      if (server.isUp) await run.world.time.await(showRoom(server, roomId as RoomId))
    }
  }
}

/** Counts what became of events, and what servers had to do for it. */
export async function countHeld(run: Run): Promise<void> {
  for (const { roomId } of run.rooms) {
    for (const server of run.world.servers) {
      const rows = await run.world.time.await(rowsOf(server, roomId as RoomId))
      const stateAfter = new Map(rows.map((row) => [row.event_id, row.state_after]))
      for (const row of rows) {
        count(run, `stored ${eventStatuses[row.status]}`)
        if ((row.sub ?? 0) < 0) count(run, 'stored as history')
        const states = idsIn(eventOf(row.bytes).prev_events).map(
          (id) => stateAfter.get(id) ?? undefined,
        )
        const forks = new Set(states.filter((one) => one !== undefined)).size
        if (forks > 1) count(run, 'state resolved')
        if (forks > 2) count(run, 'state of three forks resolved')
      }
      const taken = await run.world.time.await(membershipsTaken(server, roomId))
      if (taken > 0) count(run, 'membership taken by resolution', taken)
    }
  }
}

/** How many local users are out of a room without an event that says so. */
async function membershipsTaken({ database }: SimulatedServer, roomId: string): Promise<number> {
  const rows = await database.all<{ bytes: Uint8Array }>(sql`
    SELECT events.bytes AS bytes FROM local_memberships
    JOIN events ON events.event_id = local_memberships.event_id
    WHERE room_id = ${roomId} AND local_memberships.membership = 'leave'
  `)
  return rows.filter(({ bytes }) => eventOf(bytes).content.membership === 'join').length
}

/** All events that a server holds of a room. */
export async function heldIds(server: SimulatedServer, roomId: RoomId): Promise<EventId[]> {
  return (await rowsOf(server, roomId)).map(({ event_id }) => event_id as EventId)
}

/** The events in the history of a server's newest events that it holds, whatever it thinks of them. */
export async function graphOf(server: SimulatedServer, roomId: RoomId): Promise<Set<string>> {
  const parents = new Map<string, string[]>()
  for (const { event_id, state_after, bytes } of await rowsOf(server, roomId)) {
    if (state_after !== null) parents.set(event_id, idsIn(eventOf(bytes).prev_events))
  }
  const reached = new Set<string>()
  const border = await extremitiesOf(server, roomId)
  for (let eventId = border.pop(); eventId !== undefined; eventId = border.pop()) {
    if (reached.has(eventId) || !parents.has(eventId)) continue
    reached.add(eventId)
    border.push(...(parents.get(eventId) ?? []))
  }
  return reached
}

export async function extremitiesOf(
  { database }: SimulatedServer,
  roomId: RoomId,
): Promise<string[]> {
  const room = await roomRow(database, roomId)
  return JSON.parse(room?.extremities ?? '[]')
}

async function rowsOf(server: SimulatedServer, roomId: RoomId): Promise<Row[]> {
  return await server.database.all<Row>(sql`
    SELECT events.event_id AS event_id, status, stream, sub, state_after, bytes, rule FROM events
    JOIN rooms ON rooms.room_nid = events.room_nid
    LEFT JOIN verdicts ON verdicts.room_nid = events.room_nid
      AND verdicts.event_id = events.event_id
    WHERE rooms.room_id = ${roomId} ORDER BY stream, sub, event_nid
  `)
}

async function showRoom(server: SimulatedServer, roomId: RoomId): Promise<void> {
  const rows = await rowsOf(server, roomId)
  const ends = new Set(await extremitiesOf(server, roomId))
  console.log(`  at ${server.name}`)
  for (const row of rows) {
    const mark = ends.has(row.event_id) ? '>' : ' '
    const place = row.stream === null ? '-' : `${row.stream}/${row.sub}`
    const status = `${eventStatuses[row.status]} ${row.rule ?? ''}`
    console.log(`   ${mark} ${place} ${short(row.event_id)} ${status} ${described(row.bytes)}`)
  }
}

const decoder = new TextDecoder()

interface EventJson {
  readonly type: string
  readonly state_key?: string
  readonly sender: string
  readonly depth: number
  readonly content: Record<string, unknown>
  readonly prev_events: References
  readonly auth_events: References
}

/** Versions 1 and 2 of rooms write a hash beside the ID. */
type References = readonly (string | readonly string[])[]

export function eventOf(bytes: Uint8Array): EventJson {
  return JSON.parse(decoder.decode(bytes))
}

export function idsIn(references: References): string[] {
  return references.flatMap((one) => (typeof one === 'string' ? one : (one[0] ?? [])))
}

function described(bytes: Uint8Array): string {
  const event = eventOf(bytes)
  const { type, state_key, sender, depth, content } = event
  const what = content.membership ?? content.join_rule ?? content.topic ?? content.body ?? ''
  const users = content.users === undefined ? '' : JSON.stringify(content.users)
  const after = `after ${idsIn(event.prev_events).map(short).join(' ')}`
  return `${sender} ${type} ${state_key ?? ''} ${what} ${users} depth ${depth} ${after}`
}

function short(eventId: string): string {
  return eventId.slice(0, 7)
}
