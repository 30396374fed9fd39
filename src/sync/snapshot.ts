/**
 * What an answer is made from: where the stream is, and the user's memberships there.
 *
 * @module
 */

import type { Clock } from '#io/clock.ts'
import type { RoomId, UserId } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'
import type { LocalMembership, Rooms } from '#rooms/rooms.ts'
import type { Streams } from '#storage/streams.ts'
import type { Wishes } from '#users/wishes.ts'

/** How many rooms are looked at side by side. */
const roomsAtOnce = 32

export interface SnapshotNeeds {
  readonly clock: Pick<Clock, 'yield'>
  readonly streams: Pick<Streams, 'settled'>
  readonly rooms: Pick<Rooms, 'membershipsOf' | 'stateAtStream'>
  readonly wishes: Pick<Wishes, 'of'>
}

export interface Snapshot {
  readonly to: number
  /** Without invites that the user does not want to see. */
  readonly memberships: readonly LocalMembership[]
  /** Whose events they do not want to see. */
  readonly ignored: ReadonlySet<string>
}

/** The user's memberships as they are at a position of the stream. */
export async function settledSnapshot(
  { rooms, streams, clock, wishes }: SnapshotNeeds,
  userId: UserId,
): Promise<Snapshot> {
  for (;;) {
    const to = streams.settled()
    const all = await rooms.membershipsOf(userId)
    const { ignored, invitesOf } = await wishes.of(userId)
    const memberships = all.filter(
      ({ membership, sender }) => membership !== 'invite' || invitesOf(sender) === 'allow',
    )
    // One that changed while they were read belongs to a later answer, and what it was is not known.
    if (all.every(({ stream }) => stream <= to)) return { to, memberships, ignored }
    await clock.yield()
  }
}

/** The rooms which the user joined since: of these the client knows nothing yet. */
export async function freshlyJoined(
  { rooms }: Pick<SnapshotNeeds, 'rooms'>,
  memberships: readonly LocalMembership[],
  since: number,
): Promise<Set<RoomId>> {
  const fresh = new Set<RoomId>()
  for (const { roomId, userId, stream } of memberships) {
    if (stream <= since) continue
    const state = await rooms.stateAtStream(roomId, since)
    const member = await state?.event('m.room.member', userId)
    if (member?.content.membership !== 'join') fresh.add(roomId)
  }
  return fresh
}

/** What is said of a room. */
export type Section = [RoomId, JsonObject]

/** Makes a section for each room, some at a time; those with nothing to say are left out. */
export async function inTurns(
  memberships: readonly LocalMembership[],
  make: (membership: LocalMembership) => Promise<JsonObject | undefined>,
): Promise<Section[]> {
  const sections: Section[] = []
  for (let at = 0; at < memberships.length; at += roomsAtOnce) {
    const turn = memberships.slice(at, at + roomsAtOnce)
    const made = await Promise.all(turn.map(make))
    for (const [index, section] of made.entries()) {
      const roomId = turn[index]?.roomId
      if (section !== undefined && roomId !== undefined) sections.push([roomId, section])
    }
  }
  return sections
}
