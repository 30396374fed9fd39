/**
 * The picture of a room's event graph. Time runs down, every event has a row of its own. The graph
 * is in the middle; what an event says stands beside it, on the left for those of the first server
 * and on the right for those of the others.
 *
 * @module
 */

import { type Contest, contestsOf } from './contests.ts'
import type { Chapter, DrawnEvent, DrawnRoom } from './drawn-room.ts'
import { type Html, html } from './html.ts'
import { type Lanes, layOut } from './lanes.ts'
import { Words } from './words.ts'

const plainRow = 42
const noteLine = 22
const chapterRow = 66
const laneWidth = 26
const marginX = 22

/** The room with what all parts of the page need to know of it. */
export class Picture {
  readonly room: DrawnRoom
  readonly words: Words
  readonly contests: readonly Contest[]
  readonly #numbers: ReadonlyMap<string, number>

  constructor(room: DrawnRoom) {
    this.room = room
    this.words = new Words(room)
    this.contests = contestsOf(room)
    this.#numbers = new Map(room.events.map(({ event_id }, at) => [event_id, at + 1]))
  }

  /** The place of an event's server among the servers; they have colours by it. */
  serverOf({ sender }: DrawnEvent): number {
    const name = sender.slice(sender.indexOf(':') + 1)
    return this.room.servers.findIndex((server) => server.name === name)
  }

  numberOf(eventId: string): number {
    return this.#numbers.get(eventId) ?? 0
  }

  /** A link to an event's place in the picture. */
  link(eventId: string): Html {
    const number = this.numberOf(eventId)
    return html`<a class="number" href="#${this.room.anchor}${number}">${number}</a>`
  }

  /** Where an event was refused, and why. */
  refusals(event: DrawnEvent): { title: string; word: string; rule: string }[] {
    return this.room.servers.flatMap(({ name, title }) => {
      const verdict = event.verdicts.get(name)
      if (verdict?.status !== 'soft_failed' && verdict?.status !== 'rejected') return []
      const word = verdict.status === 'rejected' ? 'rejected' : 'soft-failed'
      return [{ title, word, rule: verdict.rule ?? '' }]
    })
  }
}

type Row =
  | { readonly chapter: Chapter; readonly top: number; readonly height: number }
  | { readonly event: DrawnEvent; readonly top: number; readonly height: number; isCut: boolean }

export function timeline(picture: Picture): Html {
  const rows = rowsOf(picture)
  const lanes = layOut(
    picture.room.events.map((event) => ({
      id: event.event_id,
      parents: event.prev_events,
      side: picture.serverOf(event) === 0 ? 'left' : 'right',
    })),
  )
  const width = 2 * marginX + Math.max(0, lanes.width - 1) * laneWidth
  return html`<div class="timeline" style="--graph: ${width}px">
<div class="heads"><div class="s0">${picture.room.servers[0]?.title}</div><div></div>
<div class="s1">${othersTitle(picture.room)}</div></div>
<div class="rows">${graph(picture, rows, lanes, width)}
${rows.map((row) => ('chapter' in row ? chapterHtml(row) : eventHtml(picture, row)))}
</div></div>`
}

/** What is seen from one server alone has all others on the right. */
function othersTitle({ servers }: DrawnRoom): string {
  const others = servers.slice(1).map(({ title }) => title)
  return others.length > 0 ? others.join(', ') : 'Other servers'
}

function rowsOf(picture: Picture): Row[] {
  const { events, chapters } = picture.room
  const rows: Row[] = []
  let top = 0
  let current: Chapter | undefined
  for (const event of events) {
    const chapter = chapters.findLast(({ fromTs }) => fromTs <= event.origin_server_ts)
    if (chapter !== undefined && chapter !== current) {
      rows.push({ chapter, top, height: chapterRow })
      top += chapterRow
      current = chapter
    }
    const height = plainRow + noteLine * noteLines(picture, event).length
    rows.push({ event, top, height, isCut: current?.isCut ?? false })
    top += height
  }
  return rows
}

function chapterHtml({ chapter, height }: { chapter: Chapter; height: number }): Html {
  const kind = chapter.isCut ? 'chapter cut' : 'chapter'
  return html`<div class="${kind}" style="height:${height}px"><h3>${chapter.title}</h3></div>`
}

function eventHtml(picture: Picture, row: { event: DrawnEvent; height: number; isCut: boolean }) {
  const { event, height, isCut } = row
  const server = picture.serverOf(event)
  const card = cardHtml(picture, event)
  const nothing = html`<div></div>`
  return html`<div class="row${isCut ? ' cut' : ''}" style="height:${height}px">
${server === 0 ? card : nothing}${nothing}${server === 0 ? nothing : card}</div>`
}

function cardHtml(picture: Picture, event: DrawnEvent): Html {
  const { words } = picture
  const side = picture.serverOf(event) === 0 ? 's0 left' : 's1 right'
  const number = picture.numberOf(event.event_id)
  const act = words.act(event)
  return html`<div class="side ${side}"><div class="card" id="${picture.room.anchor}${number}" title="${tooltip(event)}">
<div class="line">${numberHtml(picture, event)}<span class="act"><b>${words.name(event.sender)}</b> ${act}</span></div>
${noteLines(picture, event)}</div></div>`
}

function numberHtml(picture: Picture, { event_id: eventId }: DrawnEvent): Html {
  const number = picture.numberOf(eventId)
  const page = picture.room.eventPage?.(eventId)
  if (page === undefined) return html`<span class="number">${number}</span>`
  return html`<a class="number" href="${page}">${number}</a>`
}

/** What became of an event, where that is not plain. */
function noteLines(picture: Picture, event: DrawnEvent): Html[] {
  const { words, contests } = picture
  const outcomes = contests.flatMap(({ type, state_key, candidates }) => {
    const own = candidates.find((candidate) => candidate.event === event)
    // What nothing stood against is no contest to look at.
    if (own === undefined || candidates.length < 2) return []
    const mark = own.won ? 'won' : 'lost'
    return html`<span class="badge ${mark}">${mark}: ${words.key(type, state_key)}</span>`
  })
  const refusals = picture.refusals(event).map(({ title, word, rule }) => {
    return html`<div class="notes"><span class="badge refused">${word} in ${title}</span><span class="rule">${rule}</span></div>`
  })
  return outcomes.length === 0
    ? refusals
    : [html`<div class="notes">${outcomes}</div>`, ...refusals]
}

function tooltip(event: DrawnEvent): string {
  const { event_id, type, state_key, depth, verdicts } = event
  const key = state_key === undefined ? '' : ` “${state_key}”`
  const thoughts = [...verdicts].map(([server, { status, rule }]) =>
    [server, status, ...(rule === undefined ? [] : [rule])].join(': '),
  )
  return [`${type}${key}`, event_id, `depth ${depth}`, ...thoughts].join('\n')
}

function graph(picture: Picture, rows: readonly Row[], lanes: Lanes, width: number): Html {
  const last = rows.at(-1)
  const height = last === undefined ? 0 : last.top + last.height
  const middles = new Map(
    rows.flatMap((row) =>
      'event' in row ? [[row.event.event_id, row.top + row.height / 2] as const] : [],
    ),
  )
  const byId = new Map(picture.room.events.map((event) => [event.event_id, event]))
  const x = (lane: number) => marginX + lane * laneWidth
  const place = (id: string) => ({ x: x(lanes.laneOf.get(id) ?? 0), y: middles.get(id) ?? 0 })
  const lines = lanes.lines.map(({ parent, child, lane }) => {
    const event = byId.get(child)
    const colour = event && picture.serverOf(event) === 0 ? 's0' : 's1'
    return html`<path class="edge ${colour}" d="${path(place(parent), place(child), x(lane))}"/>`
  })
  const ties = picture.room.events.map((event) => {
    const { x, y } = place(event.event_id)
    return html`<path class="tie" d="M${x} ${y}H${picture.serverOf(event) === 0 ? 0 : width}"/>`
  })
  const dots = picture.room.events.map((event) => dot(picture, event, place(event.event_id)))
  return html`<svg width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" aria-hidden="true">
${ties}${lines}${dots}</svg>`
}

interface Point {
  readonly x: number
  readonly y: number
}

/** From an event down to one that follows it, by a lane between them. */
function path(from: Point, to: Point, laneX: number): string {
  const bend = 20
  const parts = [`M${from.x} ${from.y}`]
  const [start, end] = [from.y + bend, to.y - bend]
  if (laneX !== from.x) {
    parts.push(`C${from.x} ${from.y + bend} ${laneX} ${from.y} ${laneX} ${start}`)
  }
  if (laneX === to.x) parts.push(`V${to.y}`)
  else {
    if (end > from.y) parts.push(`V${end}`)
    parts.push(`C${laneX} ${to.y} ${to.x} ${to.y - bend} ${to.x} ${to.y}`)
  }
  return parts.join('')
}

function dot(picture: Picture, event: DrawnEvent, { x, y }: Point): Html {
  const colour = picture.serverOf(event) === 0 ? 's0' : 's1'
  const kind = `dot ${colour}${picture.refusals(event).length > 0 ? ' refused' : ''}`
  return event.state_key === undefined
    ? html`<circle class="${kind}" cx="${x}" cy="${y}" r="6"/>`
    : html`<rect class="${kind}" x="${x - 6}" y="${y - 6}" width="12" height="12" rx="3"/>`
}
