/**
 * What each server holds of each room, for looking into a failure: `--show`.
 *
 * @module
 */

import type { RoomId } from '../../src/protocol/identifiers/ids.ts'
import { sql } from '../../src/storage/database.ts'
import { eventStatuses } from '../../src/storage/events.ts'
import { roomRow } from '../../src/storage/rooms.ts'
import type { Run } from './run.ts'
import type { SimulatedServer } from './world.ts'

interface Row {
  readonly event_id: string
  readonly status: number
  readonly stream: number | null
  readonly sub: number | null
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

async function showRoom(server: SimulatedServer, roomId: RoomId): Promise<void> {
  const rows = await server.database.all<Row>(sql`
    SELECT events.event_id AS event_id, status, stream, sub, bytes, rule FROM events
    JOIN rooms ON rooms.room_nid = events.room_nid
    LEFT JOIN verdicts ON verdicts.room_nid = events.room_nid
      AND verdicts.event_id = events.event_id
    WHERE rooms.room_id = ${roomId} ORDER BY stream, sub, event_nid
  `)
  const room = await roomRow(server.database, roomId)
  const ends = new Set<string>(JSON.parse(room?.extremities ?? '[]'))
  console.log(`  at ${server.name}`)
  for (const row of rows) {
    const mark = ends.has(row.event_id) ? '>' : ' '
    const place = row.stream === null ? '-' : `${row.stream}/${row.sub}`
    const status = `${eventStatuses[row.status]} ${row.rule ?? ''}`
    console.log(`   ${mark} ${place} ${short(row.event_id)} ${status} ${described(row.bytes)}`)
  }
}

function described(bytes: Uint8Array): string {
  const event = JSON.parse(new TextDecoder().decode(bytes))
  const { type, state_key, sender, depth, content } = event
  const what = content.membership ?? content.join_rule ?? content.topic ?? content.body ?? ''
  const users = content.users === undefined ? '' : JSON.stringify(content.users)
  const prevs = event.prev_events.map((one: string | [string]) => short([one].flat()[0] ?? ''))
  const after = `after ${prevs.join(' ')}`
  return `${sender} ${type} ${state_key ?? ''} ${what} ${users} depth ${depth} ${after}`
}

function short(eventId: string): string {
  return eventId.slice(0, 7)
}
