/**
 * Takes a transaction apart into its PDUs and EDUs.
 *
 * PDUs stay the bytes they came as. What is malformed in one of them is found when that one is read,
 * so that the others are not touched by it.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#transactions
 *
 * @module
 */

import type { Clock } from '#io/clock.ts'
import { Slices } from '#io/slices.ts'
import type { RoomId, ServerName } from '#protocol/identifiers/ids.ts'
import { parseRoomId } from '#protocol/identifiers/room-id.ts'
import { isJsonObject, type Json } from '#protocol/json.ts'
import { readJson } from '#protocol/json-reader.ts'
import { type ScannedObject, type Span, scanObject } from '#protocol/json-spans.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import { peek } from '#rooms/admit-pdus.ts'
import type { Edu } from './edus.ts'

/** A transaction must not include more than 50 PDUs. */
const pdusPerTransactionMax = 50

/** A transaction must not include more than 100 EDUs. */
const edusPerTransactionMax = 100

export interface IncomingTransaction {
  readonly pdus: readonly Uint8Array[]
  /** Those that have the form of an EDU; others, and those that are too large, are left out. */
  readonly edus: readonly Edu[]
}

/** The largest EDU that is read, in bytes: servers send none of more than 64 KiB. */
const eduBytesMax = 262_144

const lists: ReadonlySet<string> = new Set(['pdus', 'edus'])
/** What is more than either list may have need not be cut. */
const limits = { sliceBytes: 262_144, elementsMax: edusPerTransactionMax + 1 }

/**
 * Reads the body of a transaction of `origin`, in slices: it may have many megabytes. Throws a
 * `MatrixError` if it is none.
 */
export async function readTransaction(
  clock: Pick<Clock, 'monotonicMs' | 'yield'>,
  body: Uint8Array,
  origin: ServerName,
): Promise<IncomingTransaction> {
  const slices = new Slices(clock)
  const scanned = await slices.run(scanObject(body, lists, limits))
  if (scanned === undefined) throw new MatrixError(400, 'M_NOT_JSON', 'The body is no JSON object.')
  const claimed = valueAt(body, scanned.members.get('origin'))
  if (claimed !== undefined && claimed !== origin) {
    throw invalid(`The transaction is of another server than ${origin}, which sent it.`)
  }
  // Servers of the Conduit family leave out a list that is empty.
  const pdus = listOf(body, scanned, 'pdus')
  const edus = listOf(body, scanned, 'edus')
  if (pdus.length > pdusPerTransactionMax) {
    throw invalid(`A transaction has at most ${pdusPerTransactionMax} PDUs.`)
  }
  if (edus.length > edusPerTransactionMax) {
    throw invalid(`A transaction has at most ${edusPerTransactionMax} EDUs.`)
  }
  const read: Edu[] = []
  for (const bytes of edus) {
    if (slices.isOver) await slices.next()
    const edu = readEdu(bytes)
    if (edu !== undefined) read.push(edu)
  }
  return { pdus, edus: read }
}

/** The room that the bytes of a PDU name. The create event of a version 12 room names none. */
export function roomIdOfPdu(pdu: Uint8Array): RoomId | undefined {
  const roomId = peek(pdu)?.room_id
  return typeof roomId === 'string' ? parseRoomId(roomId) : undefined
}

function readEdu(bytes: Uint8Array): Edu | undefined {
  if (bytes.length > eduBytesMax) return undefined
  // Some hold what users have signed.
  const read = readJson(bytes, 'raw')
  if (!read.ok || !isJsonObject(read.value)) return undefined
  const { edu_type, content } = read.value
  if (typeof edu_type !== 'string' || !isJsonObject(content)) return undefined
  return { edu_type, content }
}

function listOf(
  body: Uint8Array,
  { members, elements }: ScannedObject,
  name: string,
): readonly Uint8Array[] {
  if (!members.has(name)) return []
  const spans = elements.get(name)
  if (spans === undefined) throw new MatrixError(400, 'M_BAD_JSON', `'${name}' must be a list.`)
  return spans.map(({ start, end }) => body.subarray(start, end))
}

function valueAt(bytes: Uint8Array, span: Span | undefined): Json | undefined {
  const read = span && readJson(bytes.subarray(span.start, span.end), 'any')
  return read?.ok ? read.value : undefined
}

function invalid(message: string): MatrixError {
  return new MatrixError(400, 'M_INVALID_PARAM', message)
}
