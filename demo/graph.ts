/**
 * Draws a room's event graph as one HTML page: who sent what, what each event follows, what became
 * of it, and the state that each server has in the end, side by side.
 *
 * Time runs down. Each sender has a lane; the graph's depth gives the row, so that two events in one
 * row are two sides of a fork.
 *
 * @module
 */

export interface DrawnEvent {
  readonly event_id: string
  readonly type: string
  readonly state_key?: string
  readonly sender: string
  readonly depth: number
  readonly prev_events: readonly string[]
  readonly content: Readonly<Record<string, unknown>>
  /** What became of it on each server, by the server's name. */
  readonly verdicts: Readonly<Record<string, string>>
}

/** Events that stood against each other for one place in the state. */
export interface Contest {
  readonly type: string
  readonly state_key: string
  readonly candidates: readonly string[]
  readonly winner: string | undefined
  /** Why: a sentence for each candidate, in their order. */
  readonly reasons: readonly string[]
}

export interface DrawnRoom {
  readonly title: string
  readonly roomId: string
  readonly version: string
  readonly servers: readonly string[]
  readonly events: readonly DrawnEvent[]
  readonly contests: readonly Contest[]
  /** The current state by server: key to event ID. */
  readonly states: Readonly<Record<string, Readonly<Record<string, string>>>>
}

const rowHeight = 64
const laneWidth = 270
const boxWidth = 230
const boxHeight = 44
const marginLeft = 30
const marginTop = 50

/** Text as it may stand in HTML. */
export function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}

function shorten(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text
}

interface Place {
  readonly event: DrawnEvent
  readonly x: number
  readonly y: number
}

function places(room: DrawnRoom): Map<string, Place> {
  const senders = [...new Set(room.events.map((event) => event.sender))]
  const rows = [...new Set(room.events.map((event) => event.depth))].sort((a, b) => a - b)
  const taken = new Map<string, number>()
  return new Map(
    room.events.map((event) => {
      const lane = senders.indexOf(event.sender)
      const spot = `${lane} ${event.depth}`
      const nth = taken.get(spot) ?? 0
      taken.set(spot, nth + 1)
      const x = marginLeft + lane * laneWidth + nth * 18
      const y = marginTop + rows.indexOf(event.depth) * rowHeight + nth * 10
      return [event.event_id, { event, x, y }]
    }),
  )
}

function edge(from: Place, to: Place): string {
  const [x1, y1] = [from.x + boxWidth / 2, from.y]
  const [x2, y2] = [to.x + boxWidth / 2, to.y + boxHeight]
  const middle = (y1 + y2) / 2
  return `<path class="edge" d="M${x1} ${y1} C${x1} ${middle} ${x2} ${middle} ${x2} ${y2}"/>`
}

/** What an event says, in a few words. */
export function gist({ type, state_key, content }: DrawnEvent): string {
  if (type === 'm.room.message') return `“${String(content.body)}”`
  if (type === 'm.room.member') return `${state_key}: ${String(content.membership)}`
  if (type === 'm.room.power_levels') return `levels ${JSON.stringify(content.users ?? {})}`
  const [first] = Object.values(content)
  return typeof first === 'string' ? first : JSON.stringify(content)
}

function box(place: Place, room: DrawnRoom): string {
  const { event, x, y } = place
  const verdicts = Object.values(event.verdicts)
  const worst = verdicts.find((verdict) => !verdict.startsWith('accepted')) ?? 'accepted'
  const won = room.contests.some((contest) => contest.winner === event.event_id)
  const lost = room.contests.some(
    (contest) => contest.candidates.includes(event.event_id) && contest.winner !== event.event_id,
  )
  const kind = worst === 'accepted' ? (won ? 'won' : lost ? 'lost' : 'plain') : 'refused'
  const title = [event.event_id, ...Object.entries(event.verdicts).map((entry) => entry.join(': '))]
  const state = event.state_key === undefined ? '' : ' state'
  return `<g class="${kind}${state}" transform="translate(${x} ${y})"><title>${escapeHtml(title.join('\n'))}</title>
<rect width="${boxWidth}" height="${boxHeight}" rx="6"/>
<text x="8" y="17" class="type">${escapeHtml(event.type)}</text>
<text x="8" y="35">${escapeHtml(shorten(gist(event), 34))}</text></g>`
}

function drawing(room: DrawnRoom): string {
  const placed = places(room)
  const all = [...placed.values()]
  const edges = all.flatMap((place) =>
    place.event.prev_events.flatMap((id) => {
      const parent = placed.get(id)
      return parent ? [edge(place, parent)] : []
    }),
  )
  const senders = [...new Set(room.events.map((event) => event.sender))]
  const names = senders.map(
    (sender, lane) =>
      `<text class="lane" x="${marginLeft + lane * laneWidth}" y="28">${escapeHtml(sender)}</text>`,
  )
  const width = Math.max(...all.map((place) => place.x)) + boxWidth + marginLeft
  const height = Math.max(...all.map((place) => place.y)) + boxHeight + marginTop
  return `<svg viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">
${names.join('\n')}${edges.join('\n')}${all.map((place) => box(place, room)).join('\n')}</svg>`
}

function contestRows(room: DrawnRoom): string {
  const byId = new Map(room.events.map((event) => [event.event_id, event]))
  return room.contests
    .map((contest) => {
      const items = contest.candidates.map((id, index) => {
        const event = byId.get(id)
        const text = event ? `${gist(event)} (${event.sender})` : id
        const mark = id === contest.winner ? 'won' : 'lost'
        return `<li class="${mark}">${escapeHtml(text)}<br><small>${escapeHtml(contest.reasons[index] ?? '')}</small></li>`
      })
      return `<h3><code>${escapeHtml(contest.type)} ${escapeHtml(contest.state_key)}</code></h3><ul>${items.join('')}</ul>`
    })
    .join('\n')
}

function stateTable(room: DrawnRoom): string {
  const byId = new Map(room.events.map((event) => [event.event_id, event]))
  const keys = [
    ...new Set(Object.values(room.states).flatMap((state) => Object.keys(state))),
  ].sort()
  const rows = keys.map((key) => {
    const ids = room.servers.map((server) => room.states[server]?.[key])
    const same = ids.every((id) => id === ids[0])
    const cells = ids.map((id) => {
      const event = id === undefined ? undefined : byId.get(id)
      return `<td title="${escapeHtml(id ?? '')}">${escapeHtml(event ? shorten(gist(event), 60) : (id ?? '—'))}</td>`
    })
    return `<tr class="${same ? 'same' : 'differs'}"><th>${escapeHtml(key)}</th>${cells.join('')}</tr>`
  })
  const heads = room.servers.map((server) => `<th>${escapeHtml(server)}</th>`)
  return `<table><tr><th></th>${heads.join('')}</tr>${rows.join('\n')}</table>`
}

const style = `
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem; color: #1d2430; background: #fbfbf9; }
.scroll { overflow-x: auto; border: 1px solid #dcdcd4; background: #fff; }
svg { display: block; font: 12px system-ui, sans-serif; }
.edge { fill: none; stroke: #9aa3b2; stroke-width: 1.4; }
.lane { font-weight: 600; }
rect { fill: #fff; stroke: #9aa3b2; }
.state rect { stroke-width: 2; }
.type { fill: #5a6475; font-size: 11px; }
.won rect { fill: #e4f5e6; stroke: #2c8a3d; }
.lost rect { fill: #fdf0dc; stroke: #c07a14; }
.refused rect { fill: #fbe3e1; stroke: #b8352a; stroke-dasharray: 5 3; }
li.won { color: #1f6f2e; } li.lost { color: #93600f; } small { color: #5a6475; }
table { border-collapse: collapse; } th, td { border: 1px solid #dcdcd4; padding: .3rem .6rem; text-align: left; }
tr.differs td { background: #fbe3e1; }
`

/** The whole page. */
export function drawRoom(room: DrawnRoom): string {
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>${escapeHtml(room.title)}</title><style>${style}</style>
<h1>${escapeHtml(room.title)}</h1>
<p>Room <code>${escapeHtml(room.roomId)}</code>, version ${escapeHtml(room.version)}. Time runs down; two events in one row are two sides of a fork.
Green won its place in the state, amber lost it, red was refused. Point at an event to see its ID and verdicts.</p>
<div class="scroll">${drawing(room)}</div>
<h2>Which branch won, and why</h2>
${contestRows(room) || '<p>Nothing was contested.</p>'}
<h2>The state of each server</h2>
${stateTable(room)}
</html>
`
}
