/**
 * Synapse as a process that answers questions about rooms, one line each way.
 *
 * @module
 */

import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { RandomRoom, State } from './random-room.ts'

/** What Synapse says of a room. `null` allows; a text says why not, or how the answer failed. */
export interface Answer {
  /** Why nothing can be said of the room. */
  readonly failure?: string
  readonly ids: readonly string[]
  readonly checks: readonly (string | null)[]
  readonly resolutions: readonly (string | readonly string[])[]
  /** The same by Synapse's own computation of auth chains, of small rooms. */
  readonly own: readonly (string | readonly string[])[]
}

export class SynapseOracle {
  readonly #process: ChildProcessWithoutNullStreams
  readonly #lines: AsyncIterator<string>
  #errors = ''

  constructor(python: string) {
    const script = new URL('./synapse-oracle.py', import.meta.url).pathname
    this.#process = spawn(python, [script])
    this.#process.stderr.on('data', (bytes) => {
      this.#errors = (this.#errors + bytes).slice(-4000)
    })
    this.#lines = createInterface({ input: this.#process.stdout })[Symbol.asyncIterator]()
  }

  async ask(rooms: readonly RandomRoom[]): Promise<Answer[]> {
    this.#process.stdin.write(rooms.map((room) => `${questionOf(room)}\n`).join(''))
    const answers: Answer[] = []
    while (answers.length < rooms.length) {
      const line = await this.#lines.next()
      if (line.done) throw new Error(`Synapse ended: ${this.#errors}`)
      answers.push(JSON.parse(line.value))
    }
    return answers
  }

  close(): void {
    this.#process.stdin.end()
  }
}

/** Three checks an event: its list of auth events, against those events, against the state before. */
function questionOf(room: RandomRoom): string {
  const places = new Map(room.events.map(({ pdu }, place) => [pdu.event_id, place]))
  const placesOf = (state: State) => Array.from(state.values(), (pdu) => places.get(pdu.event_id))
  const checks = room.events.flatMap(({ pdu, stateBefore }, place) => {
    const implied = room.version.roomIdIsCreateEventId && place > 0 ? [0] : []
    const authEvents = pdu.auth_events.map((id) => places.get(id))
    return [
      [place, null],
      [place, [...implied, ...authEvents]],
      [place, placesOf(stateBefore)],
    ]
  })
  return JSON.stringify({
    version: room.version.id,
    events: room.events.map(({ pdu, text, isRejected }) => {
      return { id: pdu.event_id, json: text, rejected: isRejected }
    }),
    checks,
    resolutions: room.resolutions.map(({ states }) => states.map(placesOf)),
  })
}
