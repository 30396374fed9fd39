/**
 * Fills the store of a Hansa that does not run with as many events as it would have after years: rooms that
 * it has joined grow by messages of the other server's, which are written as the engine writes them.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { buildPdu } from '#protocol/build-pdu.ts'
import type { Pdu } from '#protocol/pdu.ts'
import type { Signer } from '#rooms/remote-servers.ts'
import type { Database } from '#storage/database.ts'
import { eventRows, highestEventNid, putEvent } from '#storage/events.ts'
import { roomRow, setRoomHead } from '#storage/rooms.ts'
import { openStreams } from '#storage/streams.ts'
import type { PeerRoom } from './peer/peer-room.ts'

const eventsPerUnit = 2000

/** Adds `events` messages to the end of each room. */
export async function fillRooms(
  db: Database,
  rooms: readonly PeerRoom[],
  { events, signer }: { readonly events: number; readonly signer: Signer },
): Promise<void> {
  const streams = await openStreams(db)
  let eventNid = await highestEventNid(db)
  for (const room of rooms) {
    const row = await roomRow(db, room.roomId)
    assert(row !== undefined, 'the room was joined')
    const ends = JSON.parse(row.extremities) as (typeof room.last.event_id)[]
    const [end] = await eventRows(db, row.room_nid, ends)
    const state = end?.state_after
    assert(ends.length === 1 && end?.event_id === room.last.event_id && typeof state === 'number')
    let last = room.last
    for (let left = events; left > 0; left -= eventsPerUnit) {
      const pdus: Pdu[] = []
      while (pdus.length < Math.min(left, eventsPerUnit)) {
        last = messageAfter(room, last, signer)
        pdus.push(last)
      }
      await streams.write(pdus.length, (tx, first) => {
        for (const [index, pdu] of pdus.entries()) {
          eventNid += 1
          putEvent(tx, row.room_nid, {
            ...{ event_nid: eventNid, event_id: pdu.event_id, status: 0, depth: pdu.depth },
            ...{ stream: first + index, sub: 0, state_before: state, state_after: state },
            ...{ number: null, state_key_nid: null, auth_numbers: null, membership: 0 },
            ...{ origin_server_ts: pdu.origin_server_ts, bytes: pdu.bytes },
          })
        }
        setRoomHead(tx, row.room_nid, { extremities: [last.event_id], currentState: state })
      })
    }
  }
}

const words =
  'time year people way day man thing woman life child world school state family student'
const vocabulary = words.split(' ')

function messageAfter(room: PeerRoom, last: Pdu, signer: Signer): Pdu {
  const body = Array.from(
    { length: 12 },
    (_, index) => vocabulary[(last.depth * (index + 7)) % vocabulary.length],
  )
  const content = { msgtype: 'm.text', body: `${last.depth} ${body.join(' ')}` }
  const draft = room.draft(room.creator, 'm.room.message', content)
  const built = buildPdu(
    room.version,
    {
      ...draft,
      depth: last.depth + 1,
      origin_server_ts: last.origin_server_ts + 60_000,
      prev_events: [{ event_id: last.event_id }],
    },
    signer,
  )
  if (!built.ok) throw new Error(built.reason)
  return built.pdu
}
