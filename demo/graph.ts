/**
 * Draws a room as one HTML page: its event graph, who sent what and what became of it, which branch
 * won each contested place in the state and why, and the state that each server has in the end, side
 * by side.
 *
 * @module
 */

import { readFileSync } from 'node:fs'
import type { DrawnRoom } from '../src/room-picture/drawn-room.ts'
import { Html, html } from '../src/room-picture/html.ts'
import { facts, roomSections } from '../src/room-picture/room-sections.ts'

const style = readFileSync(new URL('../src/room-picture/picture.css', import.meta.url), 'utf8')

/** The whole page. It needs nothing from anywhere else. */
export function drawRoom(room: DrawnRoom): string {
  return page(
    room.title,
    html`<header><h1>${room.title}</h1>
${facts(room)}</header>
${roomSections(room)}`,
  )
}

/** A page in the style of this house. `styles` are added to it. */
export function page(title: string, body: Html, styles = ''): string {
  return html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>${title}</title><style>${new Html(style + styles)}</style></head>
<body>
${body}
</body></html>
`.text
}
