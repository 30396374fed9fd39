/**
 * A whole room, as a resident server gives it to a server that joins: checked event by event, stored
 * in units of a bounded size, and visible only with the last one. If our own event is not allowed by
 * the state that was given, nothing is kept.
 *
 * A room that is known already jumps to the given state: there is a gap before our event.
 *
 * @module
 */

import { ALLOW, reject, type Verdict } from '#protocol/auth-rules/verdict.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import type { Pdu } from '#protocol/pdu.ts'
import type { Batch } from './batch.ts'
import { newRoom } from './create-room.ts'
import type { RoomImport } from './engine.ts'
import type { EngineParts } from './engine-parts.ts'
import { takeOutlier } from './receive.ts'
import { inOrder, takeEvent } from './turn.ts'

/** How long one slice of work may keep everything else waiting. */
const sliceMs = 10

export async function importRoom(
  parts: EngineParts,
  room: RoomImport,
  _origin: ServerName,
): Promise<Verdict> {
  const { roomId } = room
  const known = await parts.queues.room(roomId)
  if (known !== undefined) {
    const verdict = await parts.queues.inTurn(roomId, (batch) => takeRoom(parts, batch, room))
    return verdict ?? reject('the room is not there any more')
  }
  const create = createEventOf(room)
  if (create === undefined) return reject('there is no create event in the state')
  const batch = await newRoom(parts, create)
  const verdict = await takeRoom(parts, batch, room)
  if (!verdict.allowed) return verdict
  await writeAhead(parts, batch)
  await parts.queues.addRoom(batch)
  return verdict
}

/** How many events one unit holds. */
const eventsPerUnit = 400

/**
 * Writes the outliers in units of a bounded size, so that neither this thread nor the database is kept
 * from others. Nobody sees them before the room itself is committed; a crash before that undoes them.
 */
async function writeAhead({ db, clock }: EngineParts, batch: Batch): Promise<void> {
  while (batch.events.length > eventsPerUnit) {
    const eventIds = await db.write((tx) => batch.writeFirst(tx, eventsPerUnit))
    if (eventIds.length === 0) return
    batch.room.entered(eventIds)
    await clock.yield()
  }
}

function createEventOf({ roomId, state }: RoomImport): Pdu | undefined {
  const creates = state.filter((pdu) => pdu.type === 'm.room.create' && pdu.state_key === '')
  const [create] = creates
  return creates.length === 1 && create?.room_id === roomId ? create : undefined
}

async function takeRoom(parts: EngineParts, batch: Batch, room: RoomImport): Promise<Verdict> {
  const problem = problemWith(room)
  if (problem !== undefined) return reject(problem)
  const { clock } = parts
  let sliceEndMs = clock.monotonicMs() + sliceMs
  for (const pdu of inOrder([...room.authChain, ...room.state])) {
    if (pdu.room_id === room.roomId) await takeOutlier(batch, pdu)
    if (clock.monotonicMs() < sliceEndMs) continue
    await clock.yield()
    sliceEndMs = clock.monotonicMs() + sliceMs
  }
  const { event } = room
  const stateIds = room.state.map((pdu) => pdu.event_id)
  const outcome = await takeEvent(batch, event, {
    db: parts.db,
    mustBeAccepted: true,
    statesBefore: new Map([[event.event_id, stateIds]]),
    place: 'end',
    isNewestState: true,
    destinationsOf: async () => [],
  })
  if ('rule' in outcome) return reject(outcome.rule)
  if (outcome.outcome === 'missing')
    return reject('the auth events of our event are not in the answer')
  // What we knew of the room before is history now: our event is where it goes on.
  const { stateAfter } = (await batch.room.facts([event.event_id])).get(event.event_id) ?? {}
  if (outcome.outcome === 'accepted') {
    batch.room.head = { extremities: [event.event_id], state: stateAfter ?? batch.room.head.state }
  }
  return ALLOW
}

/** Each place of the state has one event, of this room. */
function problemWith({ roomId, state, authChain }: RoomImport): string | undefined {
  const places = new Set<string>()
  for (const pdu of state) {
    if (pdu.state_key === undefined) return 'there is an event in the state that is no state event'
    const place = `${pdu.type}\0${pdu.state_key}`
    if (places.has(place)) return `the state has two events for ${pdu.type} ${pdu.state_key}`
    places.add(place)
  }
  const stranger = [...state, ...authChain].find((pdu) => pdu.room_id !== roomId)
  return stranger && `event ${stranger.event_id} is of another room`
}
