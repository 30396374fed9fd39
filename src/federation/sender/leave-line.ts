/**
 * How items leave the line to a server: they were delivered, or they are what the server stumbles over,
 * and are put into quarantine with the reason. Dropped is what is of the moment only, and the oldest of what
 * a server refuses ever more of.
 *
 * @module
 */

import type { Clock } from '#io/clock.ts'
import type { Log } from '#io/log.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import type { Database } from '#storage/database.ts'
import { removeFromDeviceOutbox } from '#storage/device-outbox.ts'
import { removeEdus } from '#storage/edu-outbox.ts'
import { removeFromOutbox } from '#storage/outbox.ts'
import {
  quarantineDeviceRow,
  quarantineEvent,
  trimQuarantinedDevices,
  trimQuarantinedEvents,
} from '#storage/outbox-quarantine.ts'
import { noteRefusedEvents } from '#storage/refused-events.ts'
import type { Delivered, Suspect } from './divide.ts'
import type { Item } from './transaction.ts'
import { refusedOf } from './verdicts.ts'

interface Needs {
  readonly db: Database
  readonly clock: Clock
  readonly log: Log
  /** Something was put into quarantine. */
  readonly onQuarantine: () => void
}

/**
 * When what a server stumbled over is tried again: it may have been something else. Each time the pause
 * is three times as long, and after the last one, about five weeks in all, it waits for somebody.
 */
const againMs = { first: 600_000, factor: 3, refusalsMax: 8 }

/** How many messages to devices are kept for a server that is silent for long. */
export const messagesMax = 10_000
/**
 * How much of what one server refused is kept: events, and what is about devices. An event that is given up
 * the server asks for when it takes a later one of the room. A message to a device it cannot ask for, so of
 * these as many are kept as for a server that is silent.
 */
const keptMax = { events: 1000, devices: messagesMax }
/** How many of those that are given up are named in the log. */
const namedMax = 10

/** Puts aside what a server stumbles over, so that what is behind it goes on. */
export async function putAside(
  needs: Needs,
  server: ServerName,
  { item, refusal: { reason, isSure } }: Suspect,
): Promise<void> {
  const { db, clock, log, onQuarantine } = needs
  const fields = { server, item: nameOf(item), reason }
  const now = clock.now()
  const retryTs = isSure ? null : againAt(item, now)
  // Of what is new of devices the next change will tell.
  const isUpdate = item.kind === 'device' && item.row.kind !== 'message'
  if (item.kind === 'edu' || (isUpdate && retryTs === null)) {
    log.warn('a server refuses what is of the moment only, and is not told it', fields)
    await forget(needs, server, [item])
    return
  }
  log.warn('a server refuses something, which is put aside', { ...fields, retryTs })
  const givenUp = await db.write<Promise<readonly string[]>>((tx) => {
    const refusal = { reason, now, retryTs }
    if (item.kind === 'pdu') {
      quarantineEvent(tx, server, item.row, refusal)
      return trimQuarantinedEvents(tx, server, keptMax.events)
    }
    quarantineDeviceRow(tx, server, item.row, refusal)
    return trimQuarantinedDevices(tx, server, keptMax.devices)
  })
  if (givenUp.length > 0) {
    log.warn('a server refuses so much that the oldest of it is given up', {
      server,
      what: item.kind === 'pdu' ? 'events' : 'what is about devices',
      count: givenUp.length,
      of: givenUp.slice(0, namedMax),
    })
  }
  onQuarantine()
}

/** An event that the server could not use is done with, too: that is its verdict, which is kept. */
export async function forget(
  { db, clock, log }: Needs,
  server: ServerName,
  items: readonly Item[],
  { errors }: Partial<Delivered> = {},
): Promise<void> {
  const pdus = items.flatMap((item) => (item.kind === 'pdu' ? [item.row] : []))
  const edus = items.flatMap((item) => (item.kind === 'edu' && item.row ? [item.row] : []))
  const devices = items.flatMap((item) => (item.kind === 'device' ? [item.row] : []))
  if (pdus.length + edus.length + devices.length === 0) return
  const by = { server, now: clock.now(), log }
  const refused = errors === undefined ? [] : refusedOf(pdus, errors, by)
  await db.write((tx) => {
    if (refused.length > 0) noteRefusedEvents(tx, server, refused)
    removeFromOutbox(tx, server, pdus)
    removeEdus(tx, server, edus)
    removeFromDeviceOutbox(tx, server, devices)
  })
}

/** When an item that a server stumbled over is tried again; `null` for those that have had their tries. */
function againAt(item: Item, now: number): number | null {
  if (item.kind === 'edu') return null
  const { refusals } = item.row
  if (refusals >= againMs.refusalsMax) return null
  return now + againMs.first * againMs.factor ** refusals
}

function nameOf(item: Item): string {
  if (item.kind === 'pdu') return item.row.event_id
  return item.kind === 'edu' ? (item.row?.edu_key ?? '') : `${item.row.stream} ${item.row.sub}`
}
