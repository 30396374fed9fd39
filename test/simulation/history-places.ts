/**
 * Whether what stands in a room as history is history: it leads to the event after the gap that it
 * stands before. Then whoever was shown that event was told that something is missing before it. What
 * is from before our own join need not lead to it. How it leads there may be known to others alone: of
 * what was fetched on the way back, one event may have found its place before the one that follows it.
 *
 * @module
 */

import type { RoomId } from '../../src/protocol/identifiers/ids.ts'
import type { Pdu } from '../../src/protocol/pdu.ts'
import type { StoredEvent } from '../../src/rooms/rooms.ts'
import { heldIds } from './held-rooms.ts'
import { count, type Run, type SimulatedRoom } from './run.ts'
import type { SimulatedServer } from './simulated-server.ts'

export async function historyIsBehind(
  run: Run,
  { roomId, version }: SimulatedRoom,
  servers: readonly SimulatedServer[],
): Promise<void> {
  const storedAt = new Map<SimulatedServer, StoredEvent[]>()
  for (const server of servers) {
    storedAt.set(server, await run.world.time.await(storedBy(server, roomId as RoomId)))
  }
  const known = [...storedAt.values()].flat()
  const pdus = new Map(known.map(({ pdu }) => [pdu.event_id as string, pdu]))
  for (const [server, stored] of storedAt) {
    const stretches = Map.groupBy(stored, ({ position }) => position?.stream)
    for (const [stream, stretch] of stretches) {
      const after = stretch.find(({ position }) => position?.sub === 0)
      if (stream === undefined || after === undefined) continue
      const history = stretch.filter(({ position }) => (position?.sub ?? 0) < 0)
      const behind = ancestorsOf([after.pdu, ...fromBefore(server, after.pdu, history)], pdus)
      count(run, 'history compared', history.length)
      for (const { pdu } of history) {
        if (behind.has(pdu.event_id)) continue
        run.problems.push(
          `version ${version}: ${pdu.event_id} stands as history at ${server.name} before ${after.pdu.event_id}, to which it does not lead`,
        )
      }
    }
  }
}

async function storedBy(server: SimulatedServer, roomId: RoomId): Promise<StoredEvent[]> {
  const { rooms } = server.running.server
  return await rooms.events(roomId, await heldIds(server, roomId))
}

/** What was said before our join, by the clock of who said it. */
function fromBefore(server: SimulatedServer, join: Pdu, history: readonly StoredEvent[]): Pdu[] {
  const isOurs = join.type === 'm.room.member' && join.sender.endsWith(`:${server.name}`)
  if (!isOurs) return []
  return history.flatMap(({ pdu }) => (pdu.origin_server_ts < join.origin_server_ts ? [pdu] : []))
}

/** These events and all that lead to them. */
function ancestorsOf(events: readonly Pdu[], pdus: ReadonlyMap<string, Pdu>): Set<string> {
  const met = new Set<string>()
  const border: string[] = events.map(({ event_id }) => event_id)
  for (let id = border.pop(); id !== undefined; id = border.pop()) {
    if (met.has(id)) continue
    met.add(id)
    border.push(...(pdus.get(id)?.prev_events ?? []))
  }
  return met
}
