/**
 * Fetching in the background what was missed in rooms that we are in.
 *
 * A gap opens where so much was missed that the newest events came in with the state behind them. Users
 * who read back fill it as they go; but search, threads and those who read it later find it whole only if
 * it is fetched anyway, and while those who heard it are still there to ask. What is from before this
 * server came into the room is no gap of this kind: it is fetched when somebody wants to read it.
 *
 * @module
 */

import type { Clock } from '#io/clock.ts'
import type { Log } from '#io/log.ts'
import { serverNameOf } from '#protocol/identifiers/common-format.ts'
import type { RoomId, ServerName } from '#protocol/identifiers/ids.ts'
import type { Engine } from './engine.ts'
import type { Position, RoomCommit, Rooms } from './rooms.ts'

/**
 * How long it is waited before a gap is looked at: first for more to come, then each time that nobody has
 * given what is missing.
 */
const delaysMs = [2_000, 60_000, 600_000, 3_600_000] as const
/** How many events are asked for at once, and of one gap altogether. */
const pageSize = 100
const pagesMax = 50
/** How many gaps are healed at the same time, and how many may wait for it. */
const atOnce = 4
const waitingMax = 1_000

export interface HealingNeeds {
  readonly clock: Pick<Clock, 'sleep'>
  readonly log: Pick<Log, 'warn'>
  readonly engine: Pick<Engine, 'gaps'>
  readonly rooms: Pick<Rooms, 'fillHistory' | 'onCommit' | 'timeline'>
  readonly serverName: ServerName
  /** Aborted when the server ends. */
  readonly signal: AbortSignal
}

/** Heals the gaps that commits open from here on. */
export function healGaps(needs: HealingNeeds): void {
  const { clock, log, rooms, signal } = needs
  let waiting = 0
  let working = 0
  const look = async (wound: Wound, attempt: number): Promise<void> => {
    const delayMs = delaysMs[attempt]
    if (delayMs !== undefined) await clock.sleep(delayMs, signal)
    // In a while there may be less to do.
    if (working === atOnce) return await look(wound, Math.max(attempt, 1))
    working += 1
    const isHealed = await heal(needs, wound).finally(() => {
      working -= 1
    })
    if (!isHealed && attempt < delaysMs.length - 1) await look(wound, attempt + 1)
  }
  rooms.onCommit((commit) => {
    const { roomId } = commit
    const position = gapIn(needs, commit)
    if (position === undefined || signal.aborted || waiting === waitingMax) return
    waiting += 1
    look({ roomId, position }, 0)
      .catch((error: unknown) => {
        if (!signal.aborted) log.warn('a gap could not be looked at', { roomId, error })
      })
      .finally(() => {
        waiting -= 1
      })
  })
}

interface Wound {
  readonly roomId: RoomId
  readonly position: Position
}

/** Where a commit opened a gap, unless by an event of our own: such a one brought us into the room. */
function gapIn({ serverName }: HealingNeeds, { timeline }: RoomCommit): Position | undefined {
  return timeline.findLast(
    ({ gapBefore, pdu }) => gapBefore && serverNameOf(pdu.sender) !== serverName,
  )?.position
}

/** Fetches what is missing, as far as others give it. Whether there is nothing more to be done. */
async function heal(needs: HealingNeeds, { roomId, position }: Wound): Promise<boolean> {
  for (let pages = 0; pages < pagesMax; pages += 1) {
    if (needs.signal.aborted || !(await isOpen(needs, roomId, position))) return true
    const brought = await needs.rooms.fillHistory(roomId, position, pageSize)
    if (brought === 0) return false
  }
  return true
}

/** Whether something is still missing there that was said while we were in the room. */
async function isOpen(
  { engine, rooms }: HealingNeeds,
  roomId: RoomId,
  position: Position,
): Promise<boolean> {
  const [gap] = await engine.gaps(roomId, position, 1)
  if (gap?.position.stream !== position.stream) return false
  const before = { from: { stream: position.stream, sub: -(2 ** 31) } }
  const [earlier] = await rooms.timeline(roomId, { ...before, direction: 'backwards', limit: 1 })
  return earlier !== undefined
}
