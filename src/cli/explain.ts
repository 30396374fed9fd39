/**
 * `hansa explain`: what our server thinks of an event, and why.
 *
 * It reads the database itself, beside a server that runs or without one. What it says is what the
 * server would: both do the same checks once more, on what is committed.
 *
 * @module
 */

import { shownExplanation } from '#admin-api/events.ts'
import { parseEventId } from '#protocol/identifiers/event-id.ts'
import type { EventId, RoomId } from '#protocol/identifiers/ids.ts'
import { parseRoomId } from '#protocol/identifiers/room-id.ts'
import { type EventExplanation, explainEvent, explainWaiting } from '#rooms/explain-event.ts'
import { loadRoom } from '#rooms/room.ts'
import type { Database } from '#storage/database.ts'
import { roomOfEvent } from '#storage/events.ts'
import { readConfig } from './config.ts'
import { explanationLines } from './explanation-text.ts'
import { printable, printableJson } from './findings.ts'
import { openStore, ownSigner } from './store.ts'

export async function explain(
  id: string,
  options: { readonly config: string; readonly room?: string; readonly json: boolean },
): Promise<void> {
  const eventId = parseEventId(id)
  if (eventId === undefined) throw new Error(`${id} is no event ID.`)
  const roomId = options.room === undefined ? undefined : parseRoomId(options.room)
  if (options.room !== undefined && roomId === undefined) {
    throw new Error(`${options.room} is no room ID.`)
  }
  const config = await readConfig(options.config)
  const db = await openStore(config)
  try {
    const found = await explained(db, { eventId, roomId, own: await ownSigner(config) })
    if (found === undefined) {
      const waiting = await explainWaiting(db, eventId)
      throw new Error(printable(waiting ?? `There is no event ${id} here.`))
    }
    if (options.json) console.log(printableJson(shownExplanation(found)))
    else for (const line of explanationLines(found)) console.log(printable(line))
  } finally {
    await db.close()
  }
}

async function explained(
  db: Database,
  asked: {
    readonly eventId: EventId
    readonly roomId: RoomId | undefined
    readonly own: Awaited<ReturnType<typeof ownSigner>>
  },
): Promise<EventExplanation | undefined> {
  const { eventId, own } = asked
  const roomId = asked.roomId ?? (await roomOfEvent(db, eventId))
  const room = roomId && (await loadRoom(db, roomId))
  return room ? await explainEvent({ db, own }, room, eventId) : undefined
}
