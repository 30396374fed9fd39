/**
 * Draws a run as one HTML page: what was wrong, what happened on each server and when, where the servers
 * part, and the event graph of each room with what each server thinks of it.
 *
 * @module
 */

import { readFileSync } from 'node:fs'
import { page } from '../../demo/graph.ts'
import { roomRoutes } from '../../src/admin-api/rooms.ts'
import type { EventId, RoomId } from '../../src/protocol/identifiers/ids.ts'
import {
  type DrawnRoom,
  drawnRoom,
  type RoomGraph,
  stateKeyText,
} from '../../src/room-picture/drawn-room.ts'
import { type Html, html } from '../../src/room-picture/html.ts'
import { facts, roomSections } from '../../src/room-picture/room-sections.ts'
import { adminAsker } from '../admin-ask.ts'
import type { Run, SimulatedRoom } from './run.ts'
import type { SimulatedServer } from './simulated-server.ts'

const style = readFileSync(new URL('report.css', import.meta.url), 'utf8')
const graphEventsMax = 1000

/** Something that happened, as the trace tells it. */
interface Happening {
  readonly atMs: number
  readonly text: string
  /** The server at which it happened; none if it concerns several. */
  readonly server?: string
  readonly kind: 'act' | 'down' | 'up' | 'fault' | 'mended'
}

/** Takes the trace of a run, and makes its page at the end. */
export class Recorder {
  readonly #happenings: Happening[] = []

  note(line: string): void {
    const space = line.indexOf(' ')
    const happening = happeningOf(Number(line.slice(0, space)), line.slice(space + 1))
    if (happening !== undefined) this.#happenings.push(happening)
  }

  async page(run: Run): Promise<string> {
    const title = `Seed ${run.world.seed}`
    const rooms: Html[] = []
    for (const [at, room] of run.rooms.entries()) rooms.push(await roomHtml(run, room, at + 1))
    const body = html`<header><h1>${title}</h1>
<p class="facts">${run.world.servers.map(({ name }) => name).join(', ')}</p>
${problemsHtml(run.problems)}</header>
<section><h2>What happened</h2>
<p>Virtual time runs down. A server that is down has a grey column.</p>
${happeningsHtml(run, this.#happenings)}</section>
${rooms}`
    return page(title, body, style)
  }
}

const patterns: readonly [RegExp, Happening['kind']][] = [
  [/^start (?<server>\S+)$/, 'up'],
  [/^crash (?<server>\S+)$/, 'down'],
  [/^(?:goes wrong: |strikes: |cut )/, 'fault'],
  [/^the disk of (?<server>\S+) is full$/, 'fault'],
  [/^the disk of (?<server>\S+) has room$/, 'mended'],
  [/^heal$/, 'mended'],
  // Of a user, not of a server that asks another one.
  [/^@[^:]+:(?<server>\S+) [a-z]/, 'act'],
]

function happeningOf(atMs: number, text: string): Happening | undefined {
  for (const [pattern, kind] of patterns) {
    const found = pattern.exec(text)
    if (found === null) continue
    const server = found.groups?.server
    return { atMs, text, kind, ...(server !== undefined && { server }) }
  }
  return undefined
}

function problemsHtml(problems: readonly string[]): Html {
  if (problems.length === 0) return html`<p class="outcome equal">All that must hold holds.</p>`
  const items = problems.map((problem) => html`<li>${problem}</li>`)
  return html`<p class="outcome unequal">What must hold does not.</p><ul class="problems">${items}</ul>`
}

/** A row for each happening, a column for each server. */
function happeningsHtml({ world, rooms }: Run, happenings: readonly Happening[]): Html {
  const names = world.servers.map(({ name }) => name)
  const shortened = (text: string, server: string) =>
    rooms
      .reduce((said, { roomId }, at) => said.replaceAll(roomId, `in room ${at + 1}`), text)
      .replaceAll(`:${server}`, '')
  const down = new Set(names)
  const rows = happenings.map((happening) => {
    const { atMs, text, server, kind } = happening
    if (server !== undefined && kind === 'up') down.delete(server)
    const cells = names.map((name) => {
      const isHere = name === server
      const marks = [isHere ? kind : '', down.has(name) ? 'off' : ''].join(' ')
      return html`<td class="${marks}">${isHere ? shortened(text, name) : ''}</td>`
    })
    if (server !== undefined && kind === 'down') down.add(server)
    const all = html`<td class="${kind}" colspan="${names.length}">${text}</td>`
    return html`<tr><th>${elapsed(atMs)}</th>${server === undefined ? all : cells}</tr>`
  })
  const heads = names.map((name) => html`<th>${name}</th>`)
  return html`<div class="scroll"><table class="happenings"><thead><tr><th></th>${heads}</tr></thead>
<tbody>${rows}</tbody></table></div>`
}

function elapsed(atMs: number): string {
  const seconds = atMs / 1000
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60]
  return `${hours}:${String(minutes).padStart(2, '0')}:${(seconds % 60).toFixed(3).padStart(6, '0')}`
}

async function roomHtml(
  run: Run,
  { roomId, version }: SimulatedRoom,
  number: number,
): Promise<Html> {
  const servers = run.world.servers.filter(({ isUp }) => isUp)
  const graphs = new Map<string, RoomGraph>()
  const states = new Map<string, Map<string, string>>()
  for (const { name, running } of servers) {
    const { rooms } = running.server
    const path = `rooms/${encodeURIComponent(roomId)}/graph?limit=${graphEventsMax}`
    const asked = adminAsker(roomRoutes, { rooms })('GET', path)
    const { status, body } = await run.world.time.await(asked)
    if (status !== 200) continue
    graphs.set(name, body)
    const state = await run.world.time.await(rooms.currentState(roomId as RoomId))
    const keyed = (state?.ids() ?? []).map((one) => {
      return [stateKeyText(one.type, one.stateKey), one.eventId] as const
    })
    states.set(name, new Map(keyed))
  }
  const drawn = drawnRoom({
    title: `Room ${number}, version ${version}`,
    anchor: `room-${number}-event-`,
    servers: [...graphs.keys()].map((name) => ({ name, title: name })),
    chapters: [],
    graphs,
    states,
  })
  return html`<hr><header><h1>${drawn.title}</h1>${facts(drawn)}
${await partingHtml(run, servers, drawn)}</header>
${roomSections(drawn)}`
}

/** The first event, in the order of the graph, of which servers think or know differently. */
async function partingHtml(
  run: Run,
  servers: readonly SimulatedServer[],
  { events, roomId, anchor }: DrawnRoom,
): Promise<Html> {
  for (const [at, { event_id, verdicts }] of events.entries()) {
    const number = html`<a class="number" href="#${anchor}${at + 1}">${at + 1}</a>`
    const thoughts = servers.flatMap(({ name }) => {
      const verdict = verdicts.get(name)
      return verdict && verdict.status !== 'outlier' ? [{ name, ...verdict }] : []
    })
    if (new Set(thoughts.map(({ status }) => status)).size > 1) {
      const all = thoughts.map(
        ({ name, status, rule = '' }) => html`<li>${name}: ${status} ${rule}</li>`,
      )
      return html`<p class="outcome unequal">The servers part at event ${number}:</p><ul class="problems">${all}</ul>`
    }
    const holders = servers.filter(({ name }) => thoughts.some((one) => one.name === name))
    const differing = await differences(run, holders, roomId as RoomId, event_id as EventId)
    if (differing.length === 0) continue
    const all = differing.map((line) => html`<li>${line}</li>`)
    return html`<p class="outcome unequal">The servers know different states before event ${number}:</p><ul class="problems">${all}</ul>`
  }
  return html`<p>Of no event do the servers that know it think differently, nor of the state before it.</p>`
}

/** The places in the state before an event that servers know differently. */
async function differences(
  run: Run,
  servers: readonly SimulatedServer[],
  roomId: RoomId,
  eventId: EventId,
): Promise<string[]> {
  const held = new Map<string, Map<string, string>>()
  for (const { name, running } of servers) {
    const state = await run.world.time.await(running.server.rooms.stateBefore(roomId, eventId))
    for (const one of state?.ids() ?? []) {
      const place = stateKeyText(one.type, one.stateKey)
      held.getOrInsertComputed(place, () => new Map()).set(name, one.eventId)
    }
  }
  return [...held].flatMap(([place, byServer]) => {
    const all = servers.map(({ name }) => `${name}: ${byServer.get(name) ?? 'nothing'}`)
    const ids = new Set(servers.map(({ name }) => byServer.get(name)))
    return ids.size > 1 ? [`${place} — ${all.join(', ')}`] : []
  })
}
