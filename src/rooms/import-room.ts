/**
 * A whole room, as a resident server gives it to a server that joins: checked event by event, stored
 * in units of a bounded size, and visible only with the last one. If our own event is not allowed by
 * the state that was given, nothing is kept.
 *
 * A room that is known already, and that none of our users is in, jumps to the given state: there is
 * a gap before our event.
 *
 * @module
 */

import { Slices } from '#io/slices.ts'
import { ALLOW, reject, type Verdict } from '#protocol/auth-rules/verdict.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import type { Pdu } from '#protocol/pdu.ts'
import type { Batch } from './batch.ts'
import { newRoom } from './create-room.ts'
import type { Outcome, RoomImport } from './engine.ts'
import type { EngineParts } from './engine-parts.ts'
import { joinedServers } from './joined.ts'
import { storeOutliers, takeOutlier } from './receive.ts'
import { stateKeyOf, stateKeyText } from './state-key.ts'
import { inOrder, takeEvent } from './turn.ts'
import { noteUnproved, type Unproved } from './unproved-state.ts'
import { writeFirst } from './write-batch.ts'

export async function importRoom(
  parts: EngineParts,
  room: RoomImport,
  origin: ServerName,
): Promise<Verdict> {
  const slices = new Slices(parts.clock)
  await slices.next()
  const problem = problemWith(room)
  if (problem !== undefined) return reject(problem)
  await slices.next()
  const verdict = await parts.queues.make(room.roomId, () => importNew(parts, room, origin))
  return verdict ?? (await rejoin(parts, room, origin))
}

async function importNew(
  parts: EngineParts,
  room: RoomImport,
  resident: ServerName,
): Promise<Verdict> {
  const create = createEventOf(room)
  if (create === undefined) return reject('there is no create event in the state')
  const batch = await newRoom(parts, create)
  const slices = new Slices(parts.clock)
  const outcomes: Outcome[] = []
  for (const pdu of await inOrder([...room.authChain, ...room.state], slices)) {
    // Nothing of a new room is stored.
    batch.room.events.noteAbsent(pdu.event_id)
    outcomes.push(await takeOutlier(batch, pdu))
    if (slices.isOver) await slices.next()
  }
  noteUnproved(batch, unprovedAmong(room, outcomes))
  becomePartial(parts, batch, room, { isNew: true, resident })
  const verdict = await takeOwnEvent(parts, batch, room, { jumps: true })
  if (!verdict.allowed) return verdict
  await writeAhead(parts, batch)
  await parts.queues.addRoom(batch)
  return verdict
}

/** Comes back to a room that is known: what is said of its state is stored, then our event. */
async function rejoin(
  parts: EngineParts,
  room: RoomImport,
  resident: ServerName,
): Promise<Verdict> {
  const { roomId } = room
  const outcomes = await storeOutliers(parts, roomId, [...room.authChain, ...room.state])
  const verdict = await parts.queues.inTurn(roomId, async (batch) => {
    // Somebody else of ours may have joined meanwhile; then our event is one of two ends of the room.
    const joined = await joinedServers(batch.room, batch.room.head.state)
    const jumps = !joined.has(parts.serverName)
    if (!jumps && room.partial !== undefined) return reject('somebody else has joined meanwhile')
    becomePartial(parts, batch, room, { isNew: false, resident })
    const outcome = await takeOwnEvent(parts, batch, room, { jumps })
    if (outcome.allowed) noteUnproved(batch, unprovedAmong(room, outcomes))
    else batch.staysAsBefore()
    return outcome
  })
  return verdict ?? reject('the room is not there any more')
}

/** What was given as state and cannot be part of it: it did not pass the door, or leans on what is not here. */
function unprovedAmong(
  { state, unproved = new Map() }: RoomImport,
  outcomes: readonly Outcome[],
): Unproved {
  const leaning = new Set(
    outcomes.flatMap(({ eventId, outcome }) => (outcome === 'missing' ? [eventId] : [])),
  )
  const lacking = state.filter(({ event_id }) => leaning.has(event_id))
  return new Map([...unproved, ...lacking.map((pdu) => [pdu.event_id, stateKeyOf(pdu)] as const)])
}

/** Notes that members are left out of the state that was given. */
function becomePartial(
  { serverName, clock }: EngineParts,
  batch: Batch,
  { partial }: RoomImport,
  { isNew, resident }: { readonly isNew: boolean; readonly resident: ServerName },
): void {
  if (partial === undefined) return
  const servers = new Set([resident, ...partial.servers])
  servers.delete(serverName)
  batch.becomesPartial({ resident, servers, sinceTs: clock.now(), isNew })
}

/** How many events one unit holds. */
const eventsPerUnit = 400

/**
 * Writes the outliers in units of a bounded size, so that neither this thread nor the database is kept
 * from others. Nobody sees them before the room itself is committed; a crash before that undoes them.
 */
async function writeAhead({ db, clock }: EngineParts, batch: Batch): Promise<void> {
  while (batch.events.length > eventsPerUnit) {
    const eventIds = await db.write((tx) => writeFirst(tx, batch, eventsPerUnit))
    if (eventIds.length === 0) return
    batch.room.events.entered(eventIds)
    await clock.yield()
  }
}

function createEventOf({ roomId, state }: RoomImport): Pdu | undefined {
  const creates = state.filter((pdu) => pdu.type === 'm.room.create' && pdu.state_key === '')
  const [create] = creates
  return creates.length === 1 && create?.room_id === roomId ? create : undefined
}

/** Takes our event into the room. With `jumps` the room goes on from it alone. */
async function takeOwnEvent(
  parts: EngineParts,
  batch: Batch,
  room: RoomImport,
  { jumps }: { readonly jumps: boolean },
): Promise<Verdict> {
  const { event } = room
  const stateIds = room.state.map((pdu) => pdu.event_id)
  const outcome = await takeEvent(batch, event, {
    db: parts.db,
    mustBeAccepted: true,
    statesBefore: new Map([[event.event_id, stateIds]]),
    place: 'end',
    isNewestState: jumps,
    withoutPolicy: true,
    isPartialJoin: room.partial !== undefined,
    destinationsOf: async () => [],
  })
  if ('rule' in outcome) return reject(outcome.rule)
  if (outcome.outcome === 'missing')
    return reject('the auth events of our event are not in the answer')
  if (outcome.outcome === 'accepted' && jumps) {
    // What we knew of the room before is history now: our event is where it goes on.
    const { stateAfter } =
      (await batch.room.events.facts([event.event_id])).get(event.event_id) ?? {}
    batch.room.head = { extremities: [event.event_id], state: stateAfter ?? batch.room.head.state }
  }
  return ALLOW
}

/** Each place of the state has one event, of this room. */
function problemWith({ roomId, state, authChain }: RoomImport): string | undefined {
  const places = new Set<string>()
  for (const pdu of state) {
    if (pdu.state_key === undefined) return 'there is an event in the state that is no state event'
    const place = stateKeyText(pdu.type, pdu.state_key)
    if (places.has(place)) return `the state has two events for ${pdu.type} ${pdu.state_key}`
    places.add(place)
  }
  const stranger = [...state, ...authChain].find((pdu) => pdu.room_id !== roomId)
  return stranger && `event ${stranger.event_id} is of another room`
}
