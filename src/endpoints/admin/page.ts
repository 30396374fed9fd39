/**
 * The page for administrators: a shell that anybody may load, and what is shown in it, as HTML.
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

const asset = { method: 'GET', auth: 'none', response: t.unknown() } as const
const view = { method: 'GET', auth: 'admin', response: t.unknown() } as const

/** `GET /_hansa/admin` */
export const getAdminPage = endpoint({
  operationId: 'hansaAdminPage',
  path: '/_hansa/admin',
  ...asset,
})

/** `GET /_hansa/admin/`: the same page, as people type its address too. */
export const getAdminPageWithSlash = endpoint({
  operationId: 'hansaAdminPageWithSlash',
  path: '/_hansa/admin/',
  ...asset,
})

/** `GET /_hansa/admin/page.js`: it logs in, asks for a view, and puts it into the page. */
export const getAdminPageScript = endpoint({
  operationId: 'hansaAdminPageScript',
  path: '/_hansa/admin/page.js',
  ...asset,
})

/** `GET /_hansa/admin/page.css` */
export const getAdminPageStyle = endpoint({
  operationId: 'hansaAdminPageStyle',
  path: '/_hansa/admin/page.css',
  ...asset,
})

/** `GET /_hansa/admin/v1/views/rooms`: the rooms of this server. */
export const viewRooms = endpoint({
  operationId: 'hansaViewRooms',
  path: '/_hansa/admin/v1/views/rooms',
  query: { after: t.optional(t.string({ max: 255 })) },
  ...view,
})

/** `GET /_hansa/admin/v1/views/rooms/{roomId}`: the event graph of a room, and its state, 200 events of it at once. */
export const viewRoom = endpoint({
  operationId: 'hansaViewRoom',
  path: '/_hansa/admin/v1/views/rooms/{roomId}',
  params: { roomId: t.roomId },
  query: {
    /** The event from which the graph is followed back; the forward extremities, if absent. */
    from: t.optional(t.eventId),
    /** How many events of the state to pass over: those of the pages before. */
    state_from: t.optional(t.integer({ min: 0 })),
  },
  ...view,
})

/** `GET /_hansa/admin/v1/views/events/{eventId}`: what the server thinks of an event, and why. */
export const viewEvent = endpoint({
  operationId: 'hansaViewEvent',
  path: '/_hansa/admin/v1/views/events/{eventId}',
  params: { eventId: t.eventId },
  query: { room_id: t.optional(t.roomId) },
  ...view,
})

/** `GET /_hansa/admin/v1/views/server`: how things stand: what waits, what was refused, what is too much. */
export const viewServer = endpoint({
  operationId: 'hansaViewServer',
  path: '/_hansa/admin/v1/views/server',
  ...view,
})
