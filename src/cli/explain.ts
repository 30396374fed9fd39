/**
 * `hansa explain`: what our server thinks of an event, and why.
 *
 * It reads the database itself, beside a server that runs or without one. What it says is what the
 * server would: both do the same checks once more, on what is committed.
 *
 * @module
 */

import { shownExplanation } from '#admin-api/events.ts'
import { realClock } from '#io/real-clock.ts'
import { parseEventId } from '#protocol/identifiers/event-id.ts'
import { parseRoomId } from '#protocol/identifiers/room-id.ts'
import { storedRooms } from '#rooms/stored-rooms.ts'
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
    const rooms = storedRooms({ db, clock: realClock }, await ownSigner(config))
    const found = await rooms.explain(eventId, roomId)
    if (found === undefined) {
      const waiting = await rooms.explainWaiting(eventId)
      throw new Error(printable(waiting ?? `There is no event ${id} here.`))
    }
    if (options.json) console.log(printableJson(shownExplanation(found)))
    else for (const line of explanationLines(found)) console.log(printable(line))
  } finally {
    await db.close()
  }
}
