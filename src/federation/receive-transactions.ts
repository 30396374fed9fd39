/**
 * Takes in what other servers push to us. A transaction is answered once it is durable, and the same
 * transaction is answered the same, also after a crash of ours: so nothing is lost and nothing is
 * worked on twice, however often the other server must send it.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#transactions
 *
 * @module
 */

import type { HeldRefusals } from '#http/held-refusals.ts'
import type { Clock } from '#io/clock.ts'
import type { Log } from '#io/log.ts'
import { Slices } from '#io/slices.ts'
import type { EventId, RoomId, ServerName } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import { type ParsedPdu, parsePdu } from '#protocol/parse-pdu.ts'
import { type RoomVersion, roomVersions } from '#protocol/room-version.ts'
import type { Blocks } from '#rooms/blocks.ts'
import type { Engine } from '#rooms/engine.ts'
import type { Shares } from '#rooms/engine-parts.ts'
import type { Joins } from '#rooms/join.ts'

import { isDenied } from '#rooms/resident/access.ts'
import type { Rooms } from '#rooms/rooms.ts'
import { type Database, DatabaseFailed, UnitFailed, type Writer } from '#storage/database.ts'
import { rememberTransaction, transactionAnswer } from '#storage/incoming-transactions.ts'
import type { Edu, EduReceiver } from './edus.ts'
import { readTransaction, roomIdOfPdu } from './incoming-transaction.ts'

/** What a transaction is answered: for each PDU that has an ID, `{}` or why it was dropped. */
export interface TransactionAnswer {
  readonly pdus: Readonly<Record<EventId, { readonly error?: string }>>
}

export interface TransactionReceiver {
  /** Takes in the transaction `txnId` of `origin`. Throws a `MatrixError` if the body is none. */
  receive(origin: ServerName, txnId: string, body: Uint8Array): Promise<TransactionAnswer>
  /** Why a server is told to come again later with a transaction, if it is: one of its is worked on, and one waits. */
  refusalOf(origin: ServerName, txnId: string | undefined): MatrixError | undefined
}

export interface ReceiverParts {
  readonly serverName: ServerName
  readonly db: Database
  readonly clock: Clock
  readonly log: Log
  readonly engine: Pick<Engine, 'takeIn'>
  readonly rooms: Pick<Rooms, 'version' | 'currentState' | 'isServerInRoom' | 'endFromOutside'>
  readonly joins: Pick<Joins, 'quiet'>
  /** Rooms of which nothing is taken; none, if it is not said. */
  readonly blocks?: Pick<Blocks, 'isBlocked'> | undefined
  /** Who has to let others go first; nobody, if it is not said. */
  readonly shares?: Shares | undefined
  readonly refusals: HeldRefusals
  /** By `edu_type`. */
  readonly eduReceivers: ReadonlyMap<string, EduReceiver>
}

/** How long a transaction waits for a join of its room that is under way. */
const joinWaitMs = 20_000

/** Of each server one transaction is worked on at a time, and one waits. */
const perOriginMax = 2
/** When who sends more than that may come again. */
const retryAfterMs = 2000
/** How long a server waits at most until it is its turn to use the thread. */
const shareMsMax = 20_000

interface Line {
  last: Promise<unknown>
  count: number
}

export function createTransactionReceiver(parts: ReceiverParts): TransactionReceiver {
  const underWay = new Map<string, Promise<TransactionAnswer>>()
  const lines = new Map<ServerName, Line>()
  /** After what the same server has sent before. */
  const inLine = async <T>(origin: ServerName, work: () => Promise<T>): Promise<T> => {
    const line = lines.getOrInsertComputed(origin, () => ({ last: Promise.resolve(), count: 0 }))
    if (line.count === perOriginMax) await parts.refusals.refuse(oneAtATime())
    line.count += 1
    const working = line.last.then(work)
    line.last = working.catch(() => {})
    try {
      return await working
    } finally {
      line.count -= 1
      if (line.count === 0) lines.delete(origin)
    }
  }
  return {
    refusalOf: (origin, txnId) => {
      const isFull = lines.get(origin)?.count === perOriginMax
      return isFull && !underWay.has(`${origin} ${txnId}`) ? oneAtATime() : undefined
    },
    receive: async (origin, txnId, body) => {
      const key = `${origin} ${txnId}`
      const running = underWay.get(key)
      if (running !== undefined) return await running
      const receiving = inLine(origin, async () => {
        await waitForShare(parts, origin)
        return await receiveOnce(parts, origin, txnId, body)
      })
      underWay.set(key, receiving)
      try {
        return await receiving
      } finally {
        underWay.delete(key)
      }
    },
  }
}

function oneAtATime(): MatrixError {
  return tooMuch('This server works on one transaction of yours at a time.', retryAfterMs)
}

function tooMuch(message: string, waitMs: number): MatrixError {
  const extra = { retry_after_ms: Math.ceil(waitMs) }
  return new MatrixError(429, 'M_LIMIT_EXCEEDED', message, { extra })
}

/** While the thread is wanted by others, who has used much of it waits, or comes again later. */
async function waitForShare({ shares, clock }: ReceiverParts, origin: ServerName): Promise<void> {
  const waitMs = shares?.origins.waitMs(origin) ?? 0
  if (waitMs === 0) return
  if (waitMs > shareMsMax) throw tooMuch('Your events have kept this server busy.', waitMs)
  await clock.sleep(waitMs)
}

async function receiveOnce(
  parts: ReceiverParts,
  origin: ServerName,
  txnId: string,
  body: Uint8Array,
): Promise<TransactionAnswer> {
  const { db, clock } = parts
  const answered = await transactionAnswer(db, origin, txnId)
  if (answered !== undefined) return JSON.parse(answered)
  const { pdus, edus } = await readTransaction(clock, body, origin)
  // What is remembered is not worked on again, so EDUs come first.
  await handOut(parts, origin, edus)
  return await takeInPdus(parts, origin, pdus, (tx, answer) => {
    const answerJson = JSON.stringify(answer)
    rememberTransaction(tx, { origin, txnId, answerJson, now: clock.now() })
  })
}

/** Takes in PDUs; `remember` adds the answer to the unit that makes them durable. */
async function takeInPdus(
  parts: ReceiverParts,
  origin: ServerName,
  pdus: readonly Uint8Array[],
  remember: (tx: Writer, answer: TransactionAnswer) => void,
): Promise<TransactionAnswer> {
  const errors = new Map<EventId, string | undefined>()
  const allowed: Uint8Array[] = []
  const rooms = new Map<RoomId, Promise<Refusal | undefined>>()
  const slices = new Slices(parts.clock)
  for (const pdu of pdus) {
    if (slices.isOver) await slices.next()
    const roomId = roomIdOfPdu(pdu)
    if (roomId === undefined) continue
    const room = rooms.get(roomId) ?? refusalOf(parts, origin, roomId)
    rooms.set(roomId, room)
    const refusal = await room
    if (refusal === undefined) {
      allowed.push(pdu)
      continue
    }
    const ended = refusal.isOutside ? await parts.rooms.endFromOutside(origin, pdu) : undefined
    if (ended !== undefined) {
      errors.set(ended, undefined)
      continue
    }
    const parsed = parseRefused(pdu, refusal)
    if (parsed.ok) errors.set(parsed.pdu.event_id, refusal.error)
  }
  const taken = await parts.engine.takeIn(origin, allowed, (tx, answers) =>
    remember(tx, answerOf([...errors, ...answers])),
  )
  return answerOf([...errors, ...taken])
}

function answerOf(errors: readonly (readonly [EventId, string | undefined])[]): TransactionAnswer {
  const entries = errors.map(([eventId, error]) => [eventId, error === undefined ? {} : { error }])
  return { pdus: Object.fromEntries(entries) }
}

/** Why PDUs of a room are not taken from a server. */
interface Refusal {
  readonly error: string
  /** As far as it is known. */
  readonly version: RoomVersion | undefined
  /** Whether it is because we are not in the room. */
  readonly isOutside: boolean
}

async function refusalOf(
  { rooms, joins, serverName, blocks }: ReceiverParts,
  origin: ServerName,
  roomId: RoomId,
): Promise<Refusal | undefined> {
  if (blocks?.isBlocked(roomId)) {
    const version = await rooms.version(roomId)
    return { error: 'This server has blocked the room.', version, isOutside: false }
  }
  // The resident sends us the room's events from the moment it took our join, which may be earlier
  // than its answer is worked off here.
  if ((await rooms.version(roomId)) === undefined) await joins.quiet(roomId, joinWaitMs)
  const version = await rooms.version(roomId)
  const state = version && (await rooms.currentState(roomId))
  const isOurs = await rooms.isServerInRoom(serverName, roomId)
  if (state === undefined || !isOurs) {
    return { error: 'This server is not in the room.', version, isOutside: true }
  }
  if (!(await isDenied(state, origin))) return undefined
  return { error: 'Your server is denied access to the room.', version, isOutside: false }
}

/**
 * A PDU that is not taken is read only to name it in the answer. Of a room that is unknown the version
 * is unknown too, and with it the ID; then it is named as the version that it looks like would name it.
 */
function parseRefused(pdu: Uint8Array, { version }: Refusal): ParsedPdu {
  const versions = version === undefined ? guesses : [version]
  let last: ParsedPdu = { ok: false, reason: 'the room version is not known' }
  for (const guess of versions) {
    last = parsePdu(guess, pdu, 'unlimited')
    if (last.ok) return last
  }
  return last
}

const guesses = ['12', '11', '2']
  .map((id) => roomVersions.get(id))
  .filter((version) => version !== undefined)

/**
 * What is told once: if it cannot be stored, its sender is to send it again. All of it may come twice.
 * Typing and presence are told again before long anyhow, and are not stored.
 */
const durableEdus: ReadonlySet<string> = new Set([
  'm.direct_to_device',
  'm.receipt',
  'm.device_list_update',
  'm.signing_key_update',
])

/**
 * Hands EDUs to those who registered for them. What one of them fails at is no other's business. Throws,
 * after all of them, if one could not be stored that is told once.
 */
async function handOut(
  { eduReceivers, log }: ReceiverParts,
  origin: ServerName,
  edus: readonly Edu[],
): Promise<void> {
  const refusals: Error[] = []
  const handOne = async ({ edu_type, content }: Edu) => {
    try {
      await eduReceivers.get(edu_type)?.(origin, content)
    } catch (error) {
      log.warn('an EDU could not be taken in', { origin, edu_type, error })
      if (durableEdus.has(edu_type) && isRefusedByStore(error)) refusals.push(error)
    }
  }
  const underWay: Promise<void>[] = []
  for (const edu of edus) {
    const handed = handOne(edu)
    // These take their places in line when they are handed over, so that a hundred share one commit.
    if (edu.edu_type === 'm.direct_to_device') underWay.push(handed)
    else await handed
  }
  await Promise.all(underWay)
  if (refusals[0] !== undefined) throw refusals[0]
}

/** Whether it is the store's fault, which may be full, rather than that of what was to be stored. */
function isRefusedByStore(error: unknown): error is Error {
  return error instanceof DatabaseFailed || (error instanceof UnitFailed && error.isDatabases)
}
