/**
 * Making a room: its create event, its creator's join and what else it begins with, in one commit.
 *
 * @module
 */

import { encodeBase64 } from '#protocol/base64.ts'
import type { EventDraft } from '#protocol/build-pdu.ts'
import type { RoomId } from '#protocol/identifiers/ids.ts'
import { roomIdOfCreateEvent } from '#protocol/identifiers/room-id.ts'
import type { Pdu } from '#protocol/pdu.ts'
import { Batch } from './batch.ts'
import { buildEvent, newEventId, notAllowed, signDraft } from './build-event.ts'
import type { EngineParts } from './engine-parts.ts'
import { Room } from './room.ts'
import type { LocalEvent, Rooms } from './rooms.ts'
import { StateVersions } from './state-versions.ts'
import { takeEvent } from './turn.ts'

export async function createRoom(
  parts: EngineParts,
  request: Parameters<Rooms['createRoom']>[0],
): Promise<RoomId> {
  const { creator, version, alongside: ofRoom } = request
  const create = buildCreateEvent(parts, request)
  const batch = await newRoom(parts, create)
  await take(parts, batch, create)
  const content = { ...request.joinContent, membership: 'join' }
  const join = { type: 'm.room.member', state_key: creator, content }
  const events: Omit<LocalEvent, 'sender'>[] = [join, ...request.events]
  for (const event of events) {
    const pdu = await buildEvent(parts, batch.room, { ...event, sender: creator })
    await take(parts, batch, pdu)
    const { alongside } = event
    if (alongside !== undefined) batch.alongsideOf(pdu.event_id, alongside)
  }
  const roomId = roomIdOf(create, version.roomIdIsCreateEventId)
  if (ofRoom !== undefined) batch.alongside.push((tx) => ofRoom(tx, roomId))
  await parts.queues.addRoom(batch)
  return roomId
}

function roomIdOf(create: Pdu, isCreateEventId: boolean): RoomId {
  return isCreateEventId ? roomIdOfCreateEvent(create.event_id) : create.room_id
}

/** A batch that begins a room. */
export async function newRoom(parts: EngineParts, create: Pdu): Promise<Batch> {
  const roomNid = parts.nextRoomNid()
  const room = new Room(parts.db, {
    roomId: create.room_id,
    roomNid,
    version: create.version,
    states: await StateVersions.open(parts.db, roomNid),
    head: { extremities: [], state: 0 },
    clock: parts.clock,
  })
  return new Batch(room, parts.nextEventNid, { isNewRoom: true })
}

async function take(parts: EngineParts, batch: Batch, pdu: Pdu): Promise<void> {
  const outcome = await takeEvent(batch, pdu, {
    db: parts.db,
    mustBeAccepted: true,
    statesBefore: new Map(),
    place: 'end',
    withoutPolicy: true,
    destinationsOf: async () => [],
  })
  if ('rule' in outcome) throw notAllowed(outcome.rule)
}

function buildCreateEvent(
  parts: EngineParts,
  { creator, version, createContent }: Parameters<Rooms['createRoom']>[0],
): Pdu {
  const { random, serverName } = parts
  const draft: EventDraft = {
    ...(version.eventId === 'in-event' ? { event_id: newEventId(parts, serverName) } : {}),
    // The room ID of an m.room.create event is its event ID since version 12.
    ...(version.roomIdIsCreateEventId
      ? {}
      : { room_id: `!${encodeBase64(random.bytes(18), 'base64url')}:${serverName}` as const }),
    type: 'm.room.create',
    state_key: '',
    sender: creator,
    depth: 1,
    origin_server_ts: parts.nextCreateTs(),
    prev_events: [],
    auth_events: [],
    content: {
      ...createContent,
      room_version: version.id,
      ...(version.creatorIsSender ? {} : { creator }),
    },
  }
  return signDraft(parts, version, draft)
}
