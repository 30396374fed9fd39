/**
 * Shows what this server thinks of an event, and why: the verdict with its rule, what the rules weighed,
 * signatures, what it refers to, and how the state before it came about.
 *
 * @module
 */

import type { explainEvent } from '#endpoints/admin/events.ts'
import type { ResponseOf } from '#http/endpoint.ts'
import { type Html, html } from '#room-picture/html.ts'
import { link, table, time } from './view-parts.ts'

type Explained = ResponseOf<typeof explainEvent>
type Check = Explained['checks'][number]
type Reference = Explained['prev_events'][number]

export function eventHtml(explained: Explained): Html {
  const event = JSON.parse(JSON.stringify(explained.pdu)) as Readonly<Record<string, unknown>>
  const { event_id: id, room_id: room } = explained
  return html`<header><h1>${String(event.type)}</h1>
<p class="facts"><code>${id}</code> in ${link({ room }, room)} · version ${explained.room_version} · ${link({ room, from: id }, 'the graph that leads to it')}</p>
${verdictHtml(explained)}</header>
${factsHtml(explained, event)}
<section><h2>How it was judged</h2>
${explained.checks.map((check) => checkHtml(check, room))}</section>
<section><h2>Signatures</h2>
${signaturesHtml(explained)}</section>
<section><h2>What it follows</h2>
${referencesHtml(explained.prev_events, room)}</section>
<section><h2>By what it is allowed</h2>
${referencesHtml(explained.auth_events, room)}</section>
<section><h2>The state before it</h2>
${stateBeforeHtml(explained, room)}</section>
${refusalsHtml(explained)}
<section><h2>The event</h2>
<div class="scroll"><pre>${JSON.stringify(event, undefined, 2)}</pre></div></section>`
}

const verdicts: Readonly<Record<Explained['status'], string>> = {
  accepted: 'It is accepted.',
  soft_failed:
    'It is soft-failed: allowed by what its sender’s server knew, but not by what this server knew by then. Clients are not shown it.',
  rejected: 'It is rejected: it breaks the rules for good.',
  outlier: 'It is known because others refer to it, and has no place in the history here.',
}

function verdictHtml({ status, rule }: Explained): Html {
  const kind = status === 'accepted' ? 'equal' : 'unequal'
  const why = rule === undefined ? undefined : html` <span class="rule">${rule}</span>`
  return html`<p class="outcome ${kind}">${verdicts[status]}${why}</p>`
}

function factsHtml(explained: Explained, event: Readonly<Record<string, unknown>>): Html {
  const { position, redacted_by: redactedBy, room_id: room } = explained
  const { sender, state_key: key, depth, origin_server_ts: ts } = event
  const rows: [string, Html][] = [
    ['Sender', html`<code>${String(sender)}</code>`],
    ['Made', typeof ts === 'number' ? time(ts) : html`${String(ts)}`],
    ['Depth', html`${String(depth)}`],
    ['Place in the timeline', html`${position ? `${position.stream}/${position.sub}` : 'none'}`],
    [
      'Hash of its content',
      html`${explained.content_hash ? 'as it says' : 'another: it was redacted'}`,
    ],
  ]
  if (key !== undefined) rows.splice(1, 0, ['State key', html`“${String(key)}”`])
  if (redactedBy !== undefined)
    rows.push(['Redacted by', link({ room, event: redactedBy }, redactedBy)])
  return table([], rows)
}

const measures: Readonly<Record<Check['against'], string>> = {
  auth_events: 'By the events that it names itself',
  state_before: 'By the state before it',
  current_state: 'By the state of the room when it came',
}

function checkHtml({ against, allowed, rule, inputs, weighed }: Check, room: string): Html {
  const verdict = allowed
    ? html`<span class="badge won">allowed</span>`
    : html`<span class="badge refused">refused</span> <span class="rule">${rule}</span>`
  const rows = inputs.map(({ type, state_key: key, event_id: event, sender }) => [
    html`${type}${key === '' ? '' : ` “${key}”`}`,
    event === undefined ? html`nothing` : link({ room, event }, event),
    html`${sender ?? ''}`,
  ])
  const weights = Object.entries(weighed ?? {}).map(
    ([name, value]) => html`<li>${name.replaceAll('_', ' ')}: <b>${String(value)}</b></li>`,
  )
  const list = weights.length === 0 ? undefined : html`<ul>${weights}</ul>`
  return html`<h3>${measures[against]} ${verdict}</h3>
${list}${rows.length === 0 ? undefined : table(['The rules read', 'Event', 'Set by'], rows)}`
}

function signaturesHtml({ signatures }: Explained): Html {
  const rows = signatures.map(({ server, key_id: keyId = '', required, outcome, key }) => [
    html`${server}`,
    html`<code>${keyId}</code>`,
    html`${required ? 'needed' : 'not needed'}`,
    outcome === 'good' ? html`<b class="ok">good</b>` : html`<b class="no">${outcome}</b>`,
    html`${key === undefined ? '' : `told by ${key.fetched_from}`}`,
  ])
  return table(['Server', 'Key', '', 'Signature', 'The key'], rows)
}

function referencesHtml(references: readonly Reference[], room: string): Html {
  if (references.length === 0) return html`<p>Nothing.</p>`
  const rows = references.map(({ event_id: event, status, type = '', state_key: key, sender }) => [
    status === 'missing' ? html`<code>${event}</code>` : link({ room, event }, event),
    html`${status}`,
    html`${type}${key === undefined || key === '' ? '' : ` “${key}”`}`,
    html`${sender ?? ''}`,
  ])
  return table(['Event', '', 'Type', 'Sender'], rows)
}

const bases: Readonly<Record<Explained['state_before']['basis'], string>> = {
  none: 'It is not known: nothing of the history around the event is here.',
  parents: 'It is the state after what it follows.',
  resolved: 'The states after the events that it follows were resolved.',
  told: 'Another server told it: what the event follows was not here when it came.',
}

function stateBeforeHtml({ state_before: state }: Explained, room: string): Html {
  const { basis, size, disputed = false, resolution } = state
  const rows = (resolution?.conflicts ?? []).map(({ type, state_key: key, candidates, winner }) => [
    html`${type}${key === '' ? '' : ` “${key}”`}`,
    html`${candidates.map((one) => eventLine(one, room))}`,
    eventLine(winner ?? '', room),
  ])
  const dispute = disputed
    ? html`<p class="outcome unequal">What it follows is here by now, and leads to another state.</p>`
    : undefined
  return html`<p>${bases[basis]}${size === undefined ? '' : ` ${size} entries.`}</p>${dispute}
${rows.length === 0 ? undefined : table(['Place', 'Candidates', 'Kept'], rows)}`
}

function eventLine(event: string, room: string): Html {
  return html`<div>${event === '' ? 'nothing' : link({ room, event }, event)}</div>`
}

function refusalsHtml({ refusals }: Explained): Html | undefined {
  if (refusals.length === 0) return undefined
  const rows = refusals.map((one) => [
    html`${String(one.destination)}`,
    html`${one.error}`,
    time(one.refused_ts),
  ])
  return html`<section><h2>Servers that could not use it</h2>
${table(['Server', 'In their words', 'When'], rows)}</section>`
}
