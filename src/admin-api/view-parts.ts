/**
 * What the views for administrators are put together from.
 *
 * @module
 */

import { type Html, html } from '#room-picture/html.ts'

/** A link within the page. */
export function link(where: Readonly<Record<string, string>>, text: string): Html {
  return html`<a href="${href(where)}">${text}</a>`
}

export function href(where: Readonly<Record<string, string>>): string {
  return `/_hansa/admin?${new URLSearchParams(where)}`
}

type Cell = Html | string

/** Without `heads`, the first cell of each row names it. */
export function table(heads: readonly string[], rows: readonly (readonly Cell[])[]): Html {
  const head =
    heads.length === 0
      ? undefined
      : html`<thead><tr>${heads.map((one) => html`<th>${one}</th>`)}</tr></thead>`
  const body = rows.map(
    (cells) =>
      html`<tr>${cells.map((cell, at) => cellHtml(cell, heads.length === 0 && at === 0))}</tr>`,
  )
  return html`<div class="scroll"><table>${head}<tbody>${body}</tbody></table></div>`
}

function cellHtml(cell: Cell, isName: boolean): Html {
  return isName ? html`<th>${cell}</th>` : html`<td>${cell}</td>`
}

/** As in `2026-11-26 10:29:11`, in UTC. */
const timeFormat = new Intl.DateTimeFormat('sv', {
  dateStyle: 'short',
  timeStyle: 'medium',
  timeZone: 'UTC',
})

/** Milliseconds since 1970, as others say too: any number. */
export function time(ts: number): Html {
  const isTime = Math.abs(ts) <= 8.64e15
  return html`<time>${isTime ? timeFormat.format(ts) : ts}</time>`
}
