/**
 * Shows how things stand: how much there is to do, which events wait and for what, which rooms are not
 * known whole, and what other servers refused.
 *
 * @module
 */

import type { ServerName } from '#protocol/identifiers/ids.ts'
import { type Html, html } from '#room-picture/html.ts'
import type { Server } from '#server.ts'
import { link, table, time } from './view-parts.ts'

type Needs = Pick<Server, 'serverName' | 'rooms' | 'pressure' | 'outboxQuarantine' | 'version'>

/** How much of each kind is shown. */
const shownMax = 100

export async function serverHtml(needs: Needs): Promise<Html> {
  return html`<h1>${needs.serverName}</h1>
<p class="facts">Hansa ${needs.version}</p>
${pressureHtml(needs)}
${await waitingHtml(needs)}
${await partialHtml(needs)}
${await quarantineHtml(needs)}`
}

function pressureHtml({ pressure }: Needs): Html {
  const { lagMs, busy, memoryShare, freeBytes, disk, shed } = pressure.state()
  const free = freeBytes === undefined ? 'unknown' : `${(freeBytes / 2 ** 30).toFixed(1)} GiB`
  const isCalm = shed.length === 0 && disk === 'free'
  const outcome = isCalm
    ? html`<p class="outcome equal">Nothing is given up.</p>`
    : html`<p class="outcome unequal">Refused at the moment: ${[...shed, ...(disk === 'free' ? [] : [disk])].join(', ')}.</p>`
  return html`${outcome}
<section><h2>How much there is to do</h2>
${table(
  [],
  [
    ['The thread is busy', html`${Math.round(100 * busy)} % of the time`],
    ['Timers come late', html`99 of 100 less than ${Math.round(lagMs)} ms`],
    ['Memory in use', html`${Math.round(100 * memoryShare)} %`],
    ['Free on the fullest disk', html`${free}`],
  ],
)}</section>`
}

async function waitingHtml({ rooms }: Needs): Promise<Html> {
  const waiting = await rooms.waitingEvents({ after: 0, limit: shownMax })
  const rows = waiting.map(({ eventId, roomId: room, origin, sinceTs, tries, problem }) => [
    link({ event: eventId, room }, eventId),
    link({ room }, room),
    html`${origin}`,
    time(sinceTs),
    html`${problem ?? `what it lacks was asked for ${tries} times`}`,
  ])
  return section(
    'Events that wait for their place',
    ['Event', 'Room', 'From', 'Since', 'Why'],
    rows,
  )
}

async function partialHtml({ rooms }: Needs): Promise<Html> {
  const partial = (await rooms.partialRooms()).slice(0, shownMax)
  const rows = partial.map(({ roomId: room, resident, servers, sinceTs, tries, problem }) => [
    link({ room }, room),
    html`${resident}`,
    html`${servers}`,
    time(sinceTs),
    html`${problem ?? (tries === 0 ? 'asked for' : `asked for ${tries} times in vain`)}`,
  ])
  return section(
    'Rooms of which members are not known yet',
    ['Room', 'Joined through', 'Servers', 'Since', 'The whole state'],
    rows,
  )
}

/** What is refused of the line of devices, in words. */
const aboutDevices = {
  message: 'a message to devices',
  devices: 'what is new of a device',
  keys: 'what is new of signing keys',
} as const

async function quarantineHtml({ outboxQuarantine }: Needs): Promise<Html> {
  const after = { destination: '' as ServerName, stream: 0, sub: 0, event_id: '' } as const
  const rows = await outboxQuarantine.list({ after, limit: shownMax })
  const shown = rows.map(({ destination, room_id: room, event_id: event, ...row }) => [
    html`${destination}`,
    event === '' ? html`${aboutDevices[row.kind ?? 'message']}` : link({ event, room }, event),
    time(row.refused_ts),
    html`${row.reason}`,
    row.retry_ts === null ? html`not by itself` : time(row.retry_ts),
  ])
  return section(
    'What other servers refused',
    ['Server', 'What', 'When', 'In their words', 'Sent again'],
    shown,
  )
}

function section(title: string, heads: readonly string[], rows: readonly Html[][]): Html {
  if (rows.length === 0) return html`<section><h2>${title}</h2><p>None.</p></section>`
  return html`<section><h2>${title}</h2>
${table(heads, rows)}</section>`
}
