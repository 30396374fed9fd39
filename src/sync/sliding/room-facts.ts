/**
 * What lists of sliding sync look at of each room: when something was last said in it, whether it is
 * encrypted, and of what type it is. Read once for each room and kept; a commit changes what it
 * concerns.
 *
 * @module
 */

import { LRUCache } from 'lru-cache'
import type { RoomId } from '#protocol/identifiers/ids.ts'
import type { Rooms, StoredEvent } from '#rooms/rooms.ts'

/** How many rooms are remembered. */
const roomsMax = 50_000
/** How far back it is looked for an event that counts as something said. */
const lookedAtMax = 50

/** Types of events by which a room becomes more recent: those that somebody may want to read. */
const bumpTypes = new Set([
  'm.room.create',
  'm.room.message',
  'm.room.encrypted',
  'm.sticker',
  'm.call.invite',
  'm.poll.start',
  'org.matrix.msc3381.poll.start',
  'm.beacon_info',
  'org.matrix.msc3672.beacon_info',
])

const end = { stream: Number.MAX_SAFE_INTEGER, sub: 0 }

export interface RoomFacts {
  /** The position of the newest event of the timeline. */
  readonly activity: number
  /** That of the newest one which somebody may want to read. */
  readonly bump: number
  readonly isEncrypted: boolean
  /** The type in its create event. */
  readonly type: string | undefined
}

/** Gives the facts of a room that this server is in. */
export type FactsOf = (roomId: RoomId) => Promise<RoomFacts>

export function createRoomFacts(
  rooms: Pick<Rooms, 'currentState' | 'onCommit' | 'timeline'>,
): FactsOf {
  const known = new LRUCache<RoomId, RoomFacts>({ maxSize: roomsMax, sizeCalculation: () => 1 })
  /** How often a room has changed while it was read. */
  const changes = new Map<RoomId, number>()
  rooms.onCommit(({ roomId, timeline, stateChanges }) => {
    const reading = changes.get(roomId)
    if (reading !== undefined) changes.set(roomId, reading + 1)
    const facts = known.get(roomId)
    if (facts === undefined) return
    if (stateChanges.some(({ type }) => type === 'm.room.encryption')) {
      known.delete(roomId)
      return
    }
    const activity = newest(timeline) ?? facts.activity
    const bump = newest(timeline.filter(isBump)) ?? facts.bump
    known.set(roomId, { ...facts, activity, bump })
  })
  return async (roomId) => {
    const found = known.get(roomId)
    if (found !== undefined) return found
    const before = changes.getOrInsert(roomId, 0)
    const facts = await readFacts(rooms, roomId)
    if (changes.get(roomId) === before) known.set(roomId, facts)
    changes.delete(roomId)
    return facts
  }
}

async function readFacts(
  rooms: Pick<Rooms, 'currentState' | 'timeline'>,
  roomId: RoomId,
): Promise<RoomFacts> {
  const state = await rooms.currentState(roomId)
  const range = { from: end, direction: 'backwards' } as const
  const [last] = await rooms.timeline(roomId, { ...range, limit: 1 })
  const recent =
    last === undefined || isBump(last)
      ? [last]
      : await rooms.timeline(roomId, { ...range, limit: lookedAtMax })
  const bump = recent.find((event) => event !== undefined && isBump(event)) ?? recent.at(-1)
  const create = await state?.event('m.room.create', '')
  const type = create?.content.type
  return {
    activity: last?.position?.stream ?? 0,
    bump: bump?.position?.stream ?? 0,
    isEncrypted: state?.eventId('m.room.encryption', '') !== undefined,
    type: typeof type === 'string' ? type : undefined,
  }
}

function isBump({ pdu }: StoredEvent): boolean {
  return bumpTypes.has(pdu.type)
}

function newest(timeline: readonly StoredEvent[]): number | undefined {
  return timeline.at(-1)?.position?.stream
}
