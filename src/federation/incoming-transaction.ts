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

import type { RoomId, ServerName } from '#protocol/identifiers/ids.ts'
import { parseRoomId } from '#protocol/identifiers/room-id.ts'
import { isJsonObject, type Json } from '#protocol/json.ts'
import { readJson } from '#protocol/json-reader.ts'
import { elementsOf, memberSpans, type Span } from '#protocol/json-spans.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import { peek } from '#rooms/admit-pdus.ts'
import type { Edu } from './edus.ts'

/** A transaction must not include more than 50 PDUs. */
const pdusPerTransactionMax = 50

/** A transaction must not include more than 100 EDUs. */
const edusPerTransactionMax = 100

export interface IncomingTransaction {
  readonly pdus: readonly Uint8Array[]
  /** Those that have the form of an EDU; others are left out. */
  readonly edus: readonly Edu[]
}

/** Reads the body of a transaction of `origin`. Throws a `MatrixError` if it is none. */
export function readTransaction(body: Uint8Array, origin: ServerName): IncomingTransaction {
  const members = memberSpans(body)
  if (members === undefined) throw new MatrixError(400, 'M_NOT_JSON', 'The body is no JSON object.')
  const claimed = valueAt(body, members.get('origin'))
  if (claimed !== undefined && claimed !== origin) {
    throw invalid(`The transaction is of another server than ${origin}, which sent it.`)
  }
  // Servers of the Conduit family leave out a list that is empty.
  const pdus = listAt(body, members.get('pdus'), 'pdus')
  const edus = listAt(body, members.get('edus'), 'edus')
  if (pdus.length > pdusPerTransactionMax) {
    throw invalid(`A transaction has at most ${pdusPerTransactionMax} PDUs.`)
  }
  if (edus.length > edusPerTransactionMax) {
    throw invalid(`A transaction has at most ${edusPerTransactionMax} EDUs.`)
  }
  return { pdus, edus: edus.map(readEdu).filter((edu) => edu !== undefined) }
}

/** The room that the bytes of a PDU name. The create event of a version 12 room names none. */
export function roomIdOfPdu(pdu: Uint8Array): RoomId | undefined {
  const roomId = peek(pdu)?.room_id
  return typeof roomId === 'string' ? parseRoomId(roomId) : undefined
}

function readEdu(bytes: Uint8Array): Edu | undefined {
  // Some hold what users have signed.
  const read = readJson(bytes, 'raw')
  if (!read.ok || !isJsonObject(read.value)) return undefined
  const { edu_type, content } = read.value
  if (typeof edu_type !== 'string' || !isJsonObject(content)) return undefined
  return { edu_type, content }
}

function listAt(body: Uint8Array, span: Span | undefined, name: string): readonly Uint8Array[] {
  if (span === undefined) return []
  const elements = elementsOf(body, span)
  if (elements === undefined) throw new MatrixError(400, 'M_BAD_JSON', `'${name}' must be a list.`)
  return elements
}

function valueAt(bytes: Uint8Array, span: Span | undefined): Json | undefined {
  const read = span && readJson(bytes.subarray(span.start, span.end), 'any')
  return read?.ok ? read.value : undefined
}

function invalid(message: string): MatrixError {
  return new MatrixError(400, 'M_INVALID_PARAM', message)
}
