/**
 * What goes into a transaction of the first lane: messages to devices, and what is new of users' devices
 * and keys.
 *
 * @module
 */

import type { ServerName } from '#protocol/identifiers/ids.ts'
import type { Reader } from '#storage/database.ts'
import { type DeviceOutboxRow, deviceOutboxOf } from '#storage/device-outbox.ts'
import { edusMax, fitting, type Item } from './transaction.ts'

/**
 * The EDUs that updates of devices and keys are sent as, in canonical JSON and in the order of the rows;
 * `undefined` for what is not there to be told any longer.
 */
export type DeviceEduSource = (
  rows: readonly DeviceOutboxRow[],
) => Promise<readonly (Uint8Array | undefined)[]>

/** The oldest of what is to be sent, and the rows of which nothing is to be sent. */
export async function collectDevices(
  { db, deviceEdusOf }: { readonly db: Reader; readonly deviceEdusOf: DeviceEduSource },
  destination: ServerName,
): Promise<{
  readonly items: Item[]
  readonly vain: DeviceOutboxRow[]
  /** Whether nothing else is to be sent. */
  readonly isAll: boolean
}> {
  const rows = await deviceOutboxOf(db, destination, edusMax)
  const updates = rows.filter(({ edu_json }) => edu_json === null)
  const edus = await deviceEdusOf(updates)
  const byRow = new Map(updates.map((row, index) => [row, edus[index]]))
  const items: Item[] = []
  const vain: DeviceOutboxRow[] = []
  for (const row of rows) {
    const bytes = row.edu_json === null ? byRow.get(row) : Buffer.from(row.edu_json)
    if (bytes === undefined) vain.push(row)
    else items.push({ kind: 'device', row, bytes })
  }
  const fitted = fitting(items)
  return { items: fitted, vain, isAll: rows.length < edusMax && fitted.length === items.length }
}
