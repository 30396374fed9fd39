/**
 * What is shown of a room: its event graph, who sent what and what became of it, which branch won each
 * contested place in the state and why, and the state that each server has in the end.
 *
 * @module
 */

import { type Contest, placeInWords } from './contests.ts'
import type { DrawnRoom, Meeting } from './drawn-room.ts'
import { Html, html } from './html.ts'
import { Picture, timeline } from './timeline.ts'

/** What room it is, and whether its servers agree about it. */
export function facts(room: DrawnRoom): Html {
  return html`<p class="facts">Room <code>${room.roomId}</code> · version ${room.version} · ${room.events.length} events</p>
${verdictLine(room)}`
}

/** The graph, who won what, what was refused, and the states side by side. */
export function roomSections(room: DrawnRoom): Html {
  return html`${graphSections(room)}
<section><h2>The state of each server</h2>
${stateTable(new Picture(room))}</section>`
}

/** The graph, who won what, and what was refused. */
export function graphSections(room: DrawnRoom): Html {
  const picture = new Picture(room)
  return html`<section><h2>What happened</h2>
<p>Time runs down. Each event follows those that its lines come from: where lines part, servers did
not know of each other’s events; where they meet, an event has seen both sides.</p>
${legend(picture)}
${timeline(picture)}</section>
<section><h2>Who won, and why</h2>
${contested(picture)}</section>
${refused(picture)}`
}

/** The keys that not all servers have the same event for. */
export function differingKeys({
  servers,
  states,
}: Pick<DrawnRoom, 'servers' | 'states'>): string[] {
  return allKeys(states).filter((key) => {
    const ids = servers.map(({ name }) => states.get(name)?.get(key))
    return ids.some((id) => id !== ids[0])
  })
}

function allKeys(states: DrawnRoom['states']): string[] {
  return [...new Set([...states.values()].flatMap((state) => [...state.keys()]))]
}

function verdictLine(room: DrawnRoom): Html {
  const all = allKeys(room.states).length
  const names = room.servers.map(({ title }) => title).join(' and ')
  const differing = differingKeys(room).length
  return differing === 0
    ? html`<p class="outcome equal">${names} agree: all ${all} entries of the room’s state are the same event.</p>`
    : html`<p class="outcome unequal">${names} do not agree: ${differing} of ${all} entries of the room’s state differ.</p>`
}

function legend({ room }: Picture): Html {
  const servers = room.servers.map(({ name, title }, at) => {
    return html`<li><i class="swatch s${Math.min(at, 1)}"></i>${title} <code>${name}</code></li>`
  })
  return html`<ul class="legend">${servers}
<li><i class="shape circle"></i>message</li><li><i class="shape square"></i>change of state</li>
<li><i class="shape square refused"></i>refused by a server</li>
<li><span class="badge won">won</span> <span class="badge lost">lost</span> a place in the state</li></ul>`
}

function contested(picture: Picture): Html {
  const contests = picture.contests.filter(({ candidates }) => candidates.length > 1)
  if (contests.length === 0) return html`<p>Nothing was contested.</p>`
  const meetings = Map.groupBy(contests, ({ meeting }) => meeting)
  const byTime = picture.room.meetings.filter((meeting) => meetings.has(meeting))
  return html`<p>These places in the state had different events on the two sides. The servers tried
them in the same order, each on what those before it had made of the state; the last one that the
rules allow keeps the place.</p>
<div class="contests">${contests.map((contest) => contestHtml(picture, contest))}</div>
${byTime.map((meeting) => trials(picture, meeting, meetings.get(meeting) ?? []))}`
}

function contestHtml(picture: Picture, { type, state_key, candidates }: Contest): Html {
  const { words } = picture
  const items = candidates.map(({ event, won, reason }) => {
    const server = picture.serverOf(event) === 0 ? 's0' : 's1'
    return html`<li class="${won ? 'won' : 'lost'} ${server}"><div><span class="mark">${won ? '✓' : '✗'}</span>
${picture.link(event.event_id)} <b>${words.name(event.sender)}</b> ${words.act(event)}</div><p>${reason}</p></li>`
  })
  return html`<article class="contest"><h3>${words.key(type, state_key)}</h3><ul>${items}</ul></article>`
}

const algorithms: Readonly<Record<string, string>> = {
  v1: 'State resolution of room version 1',
  v2: 'State resolution 2',
  'v2.1': 'State resolution 2.1',
}

/** What was tried, in the order of trying. */
function trials(
  picture: Picture,
  { algorithm, parents, decisions }: Meeting,
  contests: readonly Contest[],
): Html {
  const { words, room } = picture
  const byId = new Map(room.events.map((event) => [event.event_id as string, event]))
  const rows = decisions.map((decision, at) => {
    const { event_id: id, allowed, rule } = decision
    const event = byId.get(id)
    const who = event && html`<b>${words.name(event.sender)}</b> ${words.act(event)}`
    const verdict = allowed ? html`<td class="ok">allowed</td>` : html`<td class="no">${rule}</td>`
    return html`<tr><td>${at + 1}</td><td>${picture.link(id)} ${who}</td><td>${placeInWords(decision)}</td>${verdict}</tr>`
  })
  const keys = contests.map(({ type, state_key }) => words.key(type, state_key)).join(', ')
  return html`<details open><summary>${algorithms[algorithm]}, step by step, where ${linkList(picture, parents)} met: ${keys}</summary>
<div class="scroll"><table><thead><tr><th></th><th>Event</th><th>Its place in the order</th><th>Verdict</th></tr></thead>
<tbody>${rows}</tbody></table></div></details>`
}

function linkList(picture: Picture, ids: readonly string[]): Html {
  const links = ids.map((id) => picture.link(id).text)
  return new Html([links.slice(0, -1).join(', '), links.at(-1)].filter(Boolean).join(' and '))
}

function refused(picture: Picture): Html | undefined {
  const { words, room } = picture
  const items = room.events.flatMap((event) =>
    picture.refusals(event).map(({ title, word, rule }) => {
      return html`<tr><td>${picture.link(event.event_id)} <b>${words.name(event.sender)}</b> ${words.act(event)}</td><td>${word} in ${title}</td><td class="no">${rule}</td></tr>`
    }),
  )
  if (items.length === 0) return undefined
  return html`<section><h2>What was refused</h2>
<p>A soft-failed event was allowed by what its sender’s server knew, but not by what the receiving
server knew by then: it stays part of the graph and of state resolution, and clients are not shown
it. A rejected one breaks the rules for good.</p>
<div class="scroll"><table><thead><tr><th>Event</th><th>Refused</th><th>By the rule</th></tr></thead><tbody>${items}</tbody></table></div></section>`
}

function stateTable(picture: Picture): Html {
  const { room, words } = picture
  const byId = new Map(room.events.map((event) => [event.event_id, event]))
  const unequal = new Set(differingKeys(room))
  const rows = allKeys(room.states).map((key) => {
    const cells = room.servers.map(({ name }) => {
      const id = room.states.get(name)?.get(key)
      const event = id === undefined ? undefined : byId.get(id)
      if (id === undefined) return html`<td class="absent">—</td>`
      return html`<td title="${id}">${event && picture.link(id)} ${event ? words.value(event) : id}</td>`
    })
    const space = key.indexOf(' ')
    const [type, stateKey] = space === -1 ? [key, ''] : [key.slice(0, space), key.slice(space + 1)]
    const mark = unequal.has(key) ? html`<td class="no">≠</td>` : html`<td class="ok">=</td>`
    const kind = unequal.has(key) ? 'unequal' : ''
    return html`<tr class="${kind}"><th>${words.key(type, stateKey)}</th>${cells}${mark}</tr>`
  })
  const heads = room.servers.map(({ title }, at) => {
    return html`<th class="s${Math.min(at, 1)}">${title}</th>`
  })
  return html`<div class="scroll"><table class="states"><thead><tr><th></th>${heads}<th></th></tr></thead>
<tbody>${rows}</tbody></table></div>`
}
