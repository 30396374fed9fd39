/**
 * What was acknowledged to a client is there in the end.
 *
 * @module
 */

import type { EventId, RoomId } from '../../src/protocol/identifiers/ids.ts'
import type { StoredEvent } from '../../src/rooms/rooms.ts'
import { graphOf } from './held-rooms.ts'
import { type Acknowledged, count, type Run, type SimulatedRoom } from './run.ts'
import type { SimulatedServer } from './simulated-server.ts'

/**
 * At home an acknowledged event is there for ever. Another server must have it
 * - if it was in the room when the event was made, by both views, and has been since: then the event
 *   was queued for it;
 * - if any of the servers that are in the room at the end has it in the history of the room: then it
 *   can be had there.
 *
 * What was said while a server was out is lost to it if all who heard it have left since. And who was
 * put out while they were cut off, and went on, has a branch of their own that nobody takes up.
 */
export async function nothingLost(
  run: Run,
  { roomId, version }: SimulatedRoom,
  servers: readonly SimulatedServer[],
): Promise<void> {
  const graphs: ReadonlySet<string>[] = []
  for (const server of servers) {
    graphs.push(await run.world.time.await(graphOf(server, roomId as RoomId)))
  }
  for (const event of run.acknowledged.filter((one) => one.roomId === roomId)) {
    const { eventId, by } = event
    const atHome = await storedAt(run, by.server, event)
    const isLost = by.server.mayHaveLost(event.sentAtMs)
    // Who was misled while members were unknown judges its own events otherwise when they are known.
    const isTakenBack = by.server.isMisled(roomId) && by.server.rejudged.has(eventId)
    if (isLost) count(run, `put back: ${atHome?.status ?? 'lost'}`)
    else if (atHome?.status !== 'accepted' && !isTakenBack) {
      run.problems.push(`version ${version}: ${eventId} is ${atHome?.status} at home`)
    }
    const stored = new Map<SimulatedServer, StoredEvent | undefined>()
    for (const server of servers) stored.set(server, await storedAt(run, server, event))
    const isHeld = graphs.some((graph) => graph.has(eventId))
    const told = await serversTold(run, event)
    // What somebody says who was misled may lead to events that only liars have.
    const isMisled = by.server.isMisled(roomId)
    for (const [server, one] of stored) {
      if (one !== undefined) continue
      const { sinceMs } = server.stays.get(roomId) ?? { sinceMs: Number.POSITIVE_INFINITY }
      // Who was put back to before that server joined does not know that it did; maybe nobody else does.
      const isStranger = server.mayHaveLost(by.server.stays.get(roomId)?.sinceMs ?? 0)
      const isWithheld = run.withheld.has(`${by.server.name} ${server.name}`)
      const isKept = isMisled || isLost || isStranger || isWithheld
      const isTold = told.has(server.name) && sinceMs <= event.sentAtMs && !isKept
      // Who was away for long is sent the last of it only; where that is refused, what it follows is not missed.
      const isBranch = isTold && !isHeld && !(await isJoined(run, server, event))
      if (isBranch) count(run, 'branch of who was put out')
      const wasTold = isTold && !isBranch
      count(run, wasTold || isHeld ? 'lost' : 'out of reach')
      if (!wasTold && !isHeld) continue
      const why = wasTold ? 'which was told of it' : 'and others have it'
      run.problems.push(
        `version ${version}: ${eventId} of ${by.userId} is missing at ${server.name}, ${why}`,
      )
    }
  }
}

/** Whether who said something is in the room, as another server sees it now. */
async function isJoined(
  { world: { time } }: Run,
  { running }: SimulatedServer,
  { roomId, by: { userId } }: Acknowledged,
): Promise<boolean> {
  const state = await time.await(running.server.rooms.currentState(roomId as RoomId))
  const member = state?.event('m.room.member', userId) ?? Promise.resolve(undefined)
  return (await time.await(member))?.content.membership === 'join'
}

/** The servers that were in the room when an event was made, as its home saw it. */
async function serversTold(run: Run, { roomId, eventId, by }: Acknowledged): Promise<Set<string>> {
  const { rooms } = by.server.running.server
  const state = await run.world.time.await(rooms.stateBefore(roomId as RoomId, eventId as EventId))
  const members = state?.events((type) => type === 'm.room.member') ?? Promise.resolve([])
  const joined = (await run.world.time.await(members)).filter(
    ({ content }) => content.membership === 'join',
  )
  return new Set(joined.map(({ state_key = '' }) => state_key.slice(state_key.indexOf(':') + 1)))
}

export async function storedAt(
  run: Run,
  server: SimulatedServer,
  { roomId, eventId }: Pick<Acknowledged, 'roomId' | 'eventId'>,
): Promise<StoredEvent | undefined> {
  const { rooms } = server.running.server
  return await run.world.time.await(rooms.event(roomId as RoomId, eventId as EventId))
}
