/**
 * `hansa outbox list`, `retry`, `drop`: what other servers refused, worked on in the database itself. A
 * running server sends again within a minute what is to be retried, another one when it is started.
 *
 * @module
 */

import { shownRefusal } from '#admin-api/outbox-quarantine.ts'
import { dateText } from '#federation/examination/finding.ts'
import {
  createQuarantine,
  type Quarantine,
  type QuarantineChoice,
  type QuarantineRow,
} from '#federation/sender/quarantine.ts'
import { realClock } from '#io/real-clock.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import { parseServerName } from '#protocol/identifiers/server-name.ts'
import { readConfig } from './config.ts'
import { printable, printableJson } from './findings.ts'
import { openStore } from './store.ts'

interface Options {
  readonly config: string
}

interface ChoiceOptions extends Options {
  readonly stream?: string
}

/** How much is read at a time. */
const pageSize = 500

async function withQuarantine(
  options: Options,
  work: (quarantine: Quarantine) => Promise<void>,
): Promise<void> {
  const db = await openStore(await readConfig(options.config))
  try {
    await work(createQuarantine({ db }, () => {}))
  } finally {
    await db.close()
  }
}

export async function listOutbox(
  server: string | undefined,
  options: Options & { readonly json: boolean },
): Promise<void> {
  const only = server === undefined ? undefined : nameOf(server)
  await withQuarantine(options, async (quarantine) => {
    const shown: QuarantineRow[] = []
    for await (const row of rowsOf(quarantine)) {
      if (only !== undefined && row.destination !== only) continue
      if (options.json) shown.push(row)
      else for (const line of linesOf(row)) console.log(printable(line))
    }
    if (options.json) console.log(printableJson({ items: shown.map(shownRefusal) }))
  })
}

export async function retryOutbox(server: string, options: ChoiceOptions): Promise<void> {
  const choice = choiceOf(server, options)
  await withQuarantine(options, async (quarantine) => {
    const count = await quarantine.retrySoon(choice, realClock.now())
    console.log(`${counted(count, choice)} sent again within a minute, or at the next start.`)
  })
}

export async function dropOutbox(server: string, options: ChoiceOptions): Promise<void> {
  const choice = choiceOf(server, options)
  await withQuarantine(options, async (quarantine) => {
    console.log(`${counted(await quarantine.drop(choice), choice)} given up.`)
  })
}

async function* rowsOf(quarantine: Quarantine): AsyncGenerator<QuarantineRow> {
  let after = { destination: '' as ServerName, stream: 0, sub: 0, event_id: '' as const }
  for (;;) {
    const page = await quarantine.list({ after, limit: pageSize })
    yield* page
    const last = page.at(-1)
    if (last === undefined || page.length < pageSize) return
    after = last as typeof after
  }
}

function linesOf(row: QuarantineRow): readonly string[] {
  const { destination, stream, event_id, room_id, user_id, refusals, retry_ts } = row
  const what = user_id === null ? `${event_id} in ${room_id}` : `a message to devices of ${user_id}`
  const since = `refused ${refusals} times, last ${dateText(row.refused_ts)}`
  const next = retry_ts === null ? 'not sent again by itself' : `again ${dateText(retry_ts)}`
  return [`${destination}  ${stream}  ${what}`, `    ${since}, ${next}: ${row.reason}`]
}

function nameOf(text: string): ServerName {
  const name = parseServerName(text)
  if (name === undefined) throw new Error(`${text} is no server name.`)
  return name
}

function choiceOf(server: string, { stream }: ChoiceOptions): QuarantineChoice {
  const destination = nameOf(server)
  if (stream === undefined) return { destination }
  if (!/^\d{1,15}$/.test(stream)) throw new Error('--stream is a number that the list shows.')
  return { destination, stream: Number(stream) }
}

/** Throws if it is nothing at all. */
function counted(count: number, { destination, stream }: QuarantineChoice): string {
  const what = stream === undefined ? '' : ` at ${stream}`
  if (count === 0) throw new Error(`${destination} has refused nothing${what}.`)
  return count === 1 ? '1 is' : `${count} are`
}
