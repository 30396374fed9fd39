/**
 * Shows a room as this server sees it: its event graph with what became of each event, what was refused
 * and why, and its state.
 *
 * @module
 */

import type { getRoomGraph } from '#endpoints/admin/rooms.ts'
import type { ResponseOf } from '#http/endpoint.ts'
import type { RoomId } from '#protocol/identifiers/ids.ts'
import type { Pdu } from '#protocol/pdu.ts'
import { drawnRoom } from '#room-picture/drawn-room.ts'
import { type Html, html } from '#room-picture/html.ts'
import { graphSections } from '#room-picture/room-sections.ts'
import { Words } from '#room-picture/words.ts'
import type { Rooms } from '#rooms/rooms.ts'
import { href, link } from './view-parts.ts'

type Graph = ResponseOf<typeof getRoomGraph>

/** How many events of the state are shown at once. */
const stateEventsMax = 200

/** A part of the state of a room, but for its members, of whom there may be many. */
export interface ShownState {
  readonly name: string | undefined
  readonly events: readonly Pdu[]
  /** How many stand before them. */
  readonly from: number
  /** How many there are, of which these are some. */
  readonly size: number
  readonly members: number
}

/** The part after the first `from` events. What the room is comes before what others keep in it. */
export async function stateOf(
  rooms: Pick<Rooms, 'currentState' | 'events'>,
  roomId: RoomId,
  from = 0,
): Promise<ShownState> {
  const state = await rooms.currentState(roomId)
  const all = state?.ids() ?? []
  const known = all.filter(({ type }) => type !== 'm.room.member')
  const isOwn = ({ type }: { readonly type: string }) => type.startsWith('m.room.')
  const ordered = [...known.filter(isOwn), ...known.filter((entry) => !isOwn(entry))]
  const shown = ordered.slice(from, from + stateEventsMax).map(({ eventId }) => eventId)
  const name = (await state?.event('m.room.name', ''))?.content.name
  return {
    name: typeof name === 'string' ? name : undefined,
    events: (await rooms.events(roomId, shown)).map(({ pdu }) => pdu),
    from,
    size: known.length,
    members: all.length - known.length,
  }
}

export function roomHtml(
  graph: Graph,
  { serverName, state }: { readonly serverName: string; readonly state: ShownState },
): Html {
  const { room_id: room, room_version: version, events } = graph
  const own = { name: serverName, title: serverName }
  const title = state.name ?? room
  const drawn = drawnRoom({
    title,
    servers: [own],
    chapters: [],
    // The graph is what is sent, of which each event is bytes.
    graphs: new Map([[serverName, parsed(graph)]]),
    states: new Map(),
    eventPage: (event) => href({ room, event }),
  })
  const shown = new Set<string>(events.map(({ event_id }) => event_id))
  const earlier = events.flatMap(({ prev_events }) => prev_events).find((id) => !shown.has(id))
  return html`<header><h1>${title}</h1>
<p class="facts">Room <code>${room}</code> · version ${version} · forward extremities: ${graph.forward_extremities.length} · events shown: ${events.length}</p></header>
${graphSections(drawn)}
${earlier === undefined ? undefined : html`<p>${link({ room, from: earlier }, 'Earlier events')}</p>`}
<section><h2>The state</h2>
${stateTable(state, room)}</section>`
}

function parsed(graph: Graph): Graph {
  return JSON.parse(JSON.stringify(graph)) as Graph
}

function stateTable({ events, from, size, members }: ShownState, room: string): Html {
  const shown = events.map((pdu) => ({ ...pdu, verdicts: new Map() }))
  const words = new Words({ events: shown })
  const rows = shown.map((event) => {
    const { event_id: id, type, state_key: key = '', sender } = event
    return html`<tr><th>${words.key(type, key)}</th><td>${words.value(event)}</td><td><code>${sender}</code></td><td>${link({ room, event: id }, 'why')}</td></tr>`
  })
  const end = from + events.length
  const isPart = events.length > 0 && events.length < size
  return html`<div class="scroll"><table><thead><tr><th></th><th></th><th>Set by</th><th></th></tr></thead>
<tbody>${rows}</tbody></table></div>
${isPart ? html`<p class="facts">Events ${from + 1} to ${end} of ${size}, without memberships.</p>` : undefined}
${end < size ? html`<p>${link({ room, state_from: String(end) }, 'More of the state')}</p>` : undefined}
<p class="facts">and ${members} memberships.</p>`
}
