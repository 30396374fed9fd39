/**
 * What the page for administrators shows, as HTML: all of it is made here, and the browser only puts it
 * into its place.
 *
 * @module
 */

import { viewEvent, viewRoom, viewRooms, viewServer } from '#endpoints/admin/page.ts'
import { answer, type Route } from '#http/endpoint.ts'
import { type Html, html } from '#room-picture/html.ts'
import type { Server } from '#server.ts'
import { explain } from './events.ts'
import { served } from './page.ts'
import { graph, knownRooms } from './rooms.ts'
import { eventHtml } from './view-event.ts'
import { link } from './view-parts.ts'
import { roomHtml, stateOf } from './view-room.ts'
import { serverHtml } from './view-server.ts'

type Needs = Pick<Server, 'serverName' | 'rooms' | 'pressure' | 'outboxQuarantine' | 'version'>

function view(body: Html) {
  return served('text/html', body.text)
}

async function roomsView(after: string | undefined, needs: Needs): Promise<Html> {
  const { rooms, next } = await knownRooms({ query: after === undefined ? {} : { after } }, needs)
  const rows = rooms.map((room) => {
    const { room_id: room_, name, partial } = room
    const title = name === undefined || name === '' ? room_ : name
    const note = partial ? html` <span class="badge lost">members not known yet</span>` : undefined
    return html`<tr><td>${link({ room: room_ }, title)}${note}<br><code>${room_}</code></td>
<td>${room.room_version}</td><td class="count">${room.joined_members}</td>
<td class="count">${room.servers}</td><td class="count">${room.state_events}</td></tr>`
  })
  const more = next === undefined ? undefined : html`<p>${link({ after: next }, 'More rooms')}</p>`
  if (rows.length === 0) return html`<h1>Rooms</h1><p>This server is in no room.</p>`
  return html`<h1>Rooms</h1>
<div class="scroll"><table><thead><tr><th>Room</th><th>Version</th><th>Members</th><th>Servers</th><th>State events</th></tr></thead>
<tbody>${rows}</tbody></table></div>${more}`
}

export const viewRoutes: readonly Route<Needs>[] = [
  answer(viewRooms, async ({ query }, needs: Needs) => view(await roomsView(query.after, needs))),
  answer(viewRoom, async (request, needs: Needs) => {
    const { roomId } = request.params
    const told = await graph(request, needs)
    const state = await stateOf(needs.rooms, roomId, request.query.state_from)
    return view(roomHtml(told, { serverName: needs.serverName, state }))
  }),
  answer(viewEvent, async (request, needs: Needs) =>
    view(eventHtml(await explain(request, needs))),
  ),
  answer(viewServer, async (_, needs: Needs) => view(await serverHtml(needs))),
]
