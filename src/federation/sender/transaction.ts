/**
 * One transaction: some PDUs and EDUs in one envelope.
 *
 * The envelope is spliced from the stored bytes of its parts, which are canonical JSON, so that it is
 * canonical JSON too and is signed without being encoded once more.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#transactions
 *
 * @module
 */

import { canonicalJson } from '#protocol/canonical-json.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import type { DeviceOutboxRow } from '#storage/device-outbox.ts'
import type { EduRow } from '#storage/edu-outbox.ts'
import type { OutboxRow } from '#storage/outbox.ts'

/** Something to send, as its bytes, and what it is. */
export type Item = {
  /** A canonical JSON text. */
  readonly bytes: Uint8Array
} & (
  | { readonly kind: 'pdu'; readonly row: OutboxRow }
  | { readonly kind: 'edu'; readonly row: EduRow | undefined }
  | { readonly kind: 'device'; readonly row: DeviceOutboxRow }
)

/** Transactions can have at most 50 PDUs and 100 EDUs. */
export const pdusMax = 50
export const edusMax = 100
/** The most bytes of all items together. */
const bytesMax = 8 * 1024 * 1024

/** As many of the items, from the first on, as one transaction may hold; at least one. */
export function fitting(items: readonly Item[]): Item[] {
  let bytes = 0
  const taken: Item[] = []
  for (const item of items) {
    bytes += item.bytes.length
    if (taken.length > 0 && bytes > bytesMax) break
    taken.push(item)
  }
  return taken
}

/** The body of a transaction, as canonical JSON. */
export function transactionBytes(
  items: readonly Item[],
  { origin, now }: { readonly origin: ServerName; readonly now: number },
): Uint8Array {
  const edus = items.filter(({ kind }) => kind !== 'pdu')
  const pdus = items.filter(({ kind }) => kind === 'pdu')
  const envelope = canonicalJson({ origin, origin_server_ts: now })
  return Buffer.concat([
    Buffer.from('{'),
    ...(edus.length === 0 ? [] : [Buffer.from('"edus":['), ...joined(edus), Buffer.from('],')]),
    Buffer.from(envelope.slice(1, -1)),
    Buffer.from(',"pdus":['),
    ...joined(pdus),
    Buffer.from(']}'),
  ])
}

const comma = Buffer.from(',')

function joined(items: readonly Item[]): Uint8Array[] {
  return items.flatMap(({ bytes }, place) => (place === 0 ? [bytes] : [comma, bytes]))
}
