/**
 * Transactions: the envelope in which servers push events to each other.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#transactions
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

/** `PUT /_matrix/federation/v1/send/{txnId}`: live events, durable and ephemeral. */
export const sendTransaction = endpoint({
  operationId: 'sendTransaction',
  method: 'PUT',
  path: '/_matrix/federation/v1/send/{txnId}',
  auth: 'server',
  params: { txnId: t.string({ min: 1, max: 255 }) },
  // An object with `origin`, `origin_server_ts`, `pdus` and `edus`. It is taken apart by the handler:
  // one malformed PDU must not cost the others their place.
  body: t.unknown(),
  bodyIsBytes: true,
  // 50 PDUs of 64 KiB and 100 EDUs of 64 KiB are less than 10 MiB; the rest is for what canonical
  // JSON would not need.
  bodyBytesMax: 16 * 1024 * 1024,
  response: t.object({ pdus: t.record(t.object({ error: t.optional(t.string()) })) }),
})
