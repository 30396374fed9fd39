/**
 * What somebody who is in a room is shown of it: all that its history visibility gives them, and nothing
 * else. By the sentences of the spec, from the states that the server keeps, which `recompute.ts` looks at.
 *
 * @module
 */

import type { EventId, RoomId } from '../../src/protocol/identifiers/ids.ts'
import { mergingEventType, type StateView, type StoredEvent } from '../../src/rooms/rooms.ts'
import type { SimulatedClient } from './client.ts'
import { graphOf } from './held-rooms.ts'
import { count, type Run, type SimulatedRoom } from './run.ts'

type Visible = 'visible' | 'hidden' | 'unknown'

/** `shown`: the room's timeline as a client who is joined is told it. */
export async function rightlyShown(
  run: Run,
  { roomId, version }: SimulatedRoom,
  { client, shown }: { readonly client: SimulatedClient; readonly shown: readonly string[] },
): Promise<void> {
  const { rooms } = client.server.running.server
  const room = roomId as RoomId
  const held = (await run.world.time.await(graphOf(client.server, room))) as Set<EventId>
  const had = new Set(shown)
  for (const stored of await run.world.time.await(rooms.events(room, [...held]))) {
    const { event_id } = stored.pdu
    const isShown = had.has(event_id)
    const visible = await run.world.time.await(isVisible(client, room, stored))
    count(run, `${visible} and ${isShown ? 'shown' : 'not shown'}`)
    const isWrong = isShown ? visible === 'hidden' : visible === 'visible'
    if (!isWrong) continue
    const what = isShown ? 'is shown' : 'is not shown'
    run.problems.push(
      `version ${version}: ${client.userId} ${what} ${event_id}, which is ${visible}`,
    )
  }
}

async function isVisible(
  { server, userId }: SimulatedClient,
  roomId: RoomId,
  { pdu, status, position }: StoredEvent,
): Promise<Visible> {
  const isMerge = pdu.type === mergingEventType && pdu.state_key === undefined
  if (status !== 'accepted' || position === undefined || isMerge) return 'hidden'
  const before = await server.running.server.rooms.stateBefore(roomId, pdu.event_id)
  if (before === undefined) return 'unknown'
  const [visibilities, memberships] = [
    [await visibilityIn(before)],
    [await membershipIn(before, userId)],
  ]
  // What changes the visibility may be seen as it was before, or as it is then; so may one's own membership.
  if (pdu.type === 'm.room.history_visibility' && pdu.state_key === '')
    visibilities.push(visibilityOf(pdu.content))
  if (pdu.type === 'm.room.member' && pdu.state_key === userId)
    memberships.push(String(pdu.content.membership))
  const isSeen = visibilities.some((visibility) =>
    memberships.some((membership) => sees(visibility, membership)),
  )
  return isSeen ? 'visible' : 'hidden'
}

/** Whoever asks is joined now, and so after each event. */
function sees(visibility: string, membership: string): boolean {
  if (visibility === 'world_readable' || membership === 'join') return true
  if (visibility === 'invited') return membership === 'invite'
  return visibility === 'shared'
}

async function visibilityIn(state: StateView): Promise<string> {
  return visibilityOf((await state.event('m.room.history_visibility', ''))?.content ?? {})
}

/** Whatever is none is `shared`. */
function visibilityOf({ history_visibility: value }: Readonly<Record<string, unknown>>): string {
  return ['world_readable', 'invited', 'joined'].includes(String(value)) ? String(value) : 'shared'
}

async function membershipIn(state: StateView, userId: string): Promise<string> {
  const member = await state.event('m.room.member', userId)
  return String(member?.content.membership ?? 'leave')
}
