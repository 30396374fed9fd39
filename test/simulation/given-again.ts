/**
 * What a server has stored it gives to others, by every route, as what it was: strict JSON with the same
 * ID, under signatures that hold.
 *
 * @module
 */

import type { RoomId, ServerName } from '../../src/protocol/identifiers/ids.ts'
import { isJsonObject, type JsonObject } from '../../src/protocol/json.ts'
import { readJson } from '../../src/protocol/json-reader.ts'
import { numberRuleOf } from '../../src/protocol/parse-pdu.ts'
import { redact } from '../../src/protocol/redaction.ts'
import { type RoomVersion, roomVersions } from '../../src/protocol/room-version.ts'
import { signatureProblem } from '../../src/protocol/signatures.ts'
import { idOf } from '../scripted-peer/forged-event.ts'
import { signedRequest } from '../signed-request.ts'
import { extremitiesOf, heldIds } from './held-rooms.ts'
import { elements, eventLists, membersOf } from './mask.ts'
import { count, type Run, type SimulatedRoom } from './run.ts'
import type { SimulatedServer } from './simulated-server.ts'

/** How many events are asked for one by one. */
const singlyMax = 12
const pagesMax = 6
/** In so many rooms that is done. */
const askedShare = 0.3

/** Asks one of the servers of a room for all that it has, in the name of another one; in some runs. */
export async function givenAgain(
  run: Run,
  { roomId, version: id }: SimulatedRoom,
  servers: readonly SimulatedServer[],
): Promise<void> {
  const version = roomVersions.get(id)
  const random = run.world.random.fork(`given again ${roomId}`)
  const givers = servers.filter((server) => !run.liars.includes(server))
  if (version === undefined || givers.length === 0 || servers.length < 2) return
  if (!random.happens(askedShare)) return
  const giver = random.pick(givers)
  const asker = random.pick(servers.filter((server) => server !== giver))
  const held = new Set<string>(await run.world.time.await(heldIds(giver, roomId as RoomId)))
  const asking = new Asking(run, { roomId, version, giver, asker, held })
  const ends = await run.world.time.await(extremitiesOf(giver, roomId as RoomId))
  const [end = ''] = ends
  await asking.history(ends)
  await asking.list('state', `state/${encode(roomId)}?event_id=${encode(end)}`)
  await asking.list('event_auth', `event_auth/${encode(roomId)}/${encode(end)}`)
  await asking.missing(ends)
  const some = [...held].map((eventId) => ({ eventId, place: random.fraction() }))
  const chosen = some.toSorted((a, b) => a.place - b.place).slice(0, singlyMax)
  for (const { eventId } of chosen) await asking.event(eventId)
  await asking.nothingElse()
}

const encode = encodeURIComponent

interface Question {
  readonly roomId: string
  readonly version: RoomVersion
  readonly giver: SimulatedServer
  readonly asker: SimulatedServer
  /** What the giver has stored. */
  readonly held: ReadonlySet<string>
}

class Asking {
  readonly #run: Run
  readonly #room: Question
  /** What was given and not stored before; it may have been fetched for the answer. */
  readonly #unheld = new Set<string>()
  /** What was found to be right. */
  readonly #right = new Map<string, string>()

  constructor(run: Run, room: Question) {
    this.#run = run
    this.#room = room
  }

  /** All of the history, page by page. */
  async history(ends: readonly string[]): Promise<void> {
    let from = ends
    const met = new Set<string>()
    for (let page = 0; page < pagesMax && from.length > 0; page += 1) {
      const query = from.map((eventId) => `v=${encode(eventId)}`).join('&')
      const path = `backfill/${encode(this.#room.roomId)}?limit=50&${query}`
      const given = await this.list('backfill', path)
      const fresh = given.filter((eventId) => !met.has(eventId))
      for (const eventId of fresh) met.add(eventId)
      from = fresh.slice(-5)
    }
  }

  async missing(ends: readonly string[]): Promise<void> {
    const body = { earliest_events: [], latest_events: ends.slice(0, 20), limit: 20, min_depth: 0 }
    const path = `get_missing_events/${encode(this.#room.roomId)}`
    await this.list('get_missing_events', path, JSON.stringify(body))
  }

  /** Nothing is made up. */
  async nothingElse(): Promise<void> {
    const { giver, roomId } = this.#room
    const held = new Set<string>(await this.#run.world.time.await(heldIds(giver, roomId as RoomId)))
    for (const eventId of this.#unheld) {
      if (!held.has(eventId)) this.#problem(`gives ${eventId}, which it has not stored`)
    }
  }

  /** What is not part of the room's history for the asker is not given. */
  async event(eventId: string): Promise<void> {
    const answer = await this.#ask('GET', `event/${encode(eventId)}`)
    if (answer.status === 404 || answer.status === 403) {
      count(this.#run, 'given again: event refused')
      return
    }
    const ids = this.#check('event', answer)
    if (ids.length !== 1 || ids[0] !== eventId) {
      this.#problem(`gives ${ids} for the event ${eventId}`)
    }
  }

  /** Gives the IDs of what is in an answer. */
  async list(route: string, path: string, body?: string): Promise<string[]> {
    return this.#check(route, await this.#ask(body === undefined ? 'GET' : 'POST', path, body))
  }

  async #ask(method: string, path: string, body?: string) {
    const { world } = this.#run
    const { giver, asker } = this.#room
    const client = world.network.client(asker.address, world.time.clock())
    return await world.time.await(
      signedRequest(client, asker.ownSigner, {
        to: giver.name as ServerName,
        method,
        target: `/_matrix/federation/v1/${path}`,
        content: body === undefined ? undefined : Buffer.from(body),
      }),
    )
  }

  #check(route: string, answer: { readonly status: number; readonly body: Uint8Array }): string[] {
    const members = answer.status === 200 ? membersOf(answer.body) : undefined
    if (members === undefined || !readJson(answer.body, 'any').ok) {
      const said = Buffer.from(answer.body).toString().slice(0, 200)
      this.#problem(`answers ${route} with ${answer.status} ${said}`)
      return []
    }
    const texts = eventLists.flatMap((key) => elements(members.get(key)))
    count(this.#run, `given again: ${route}`, texts.length)
    return texts.map((text) => this.#idOf(route, text))
  }

  #idOf(route: string, text: string): string {
    const known = this.#right.get(text)
    if (known !== undefined) return known
    const { version, held } = this.#room
    const read = readJson(Buffer.from(text), numberRuleOf(version))
    if (!read.ok || !isJsonObject(read.value)) {
      this.#problem(`gives by ${route} what is no strict JSON: ${text}`)
      return ''
    }
    const eventId = idOf(version, read.value)
    if (!held.has(eventId)) this.#unheld.add(eventId)
    const problem = this.#signatureProblem(read.value)
    if (problem !== undefined) this.#problem(`gives ${eventId} by ${route}: ${problem}: ${text}`)
    this.#right.set(text, eventId)
    return eventId
  }

  /** Of the sender’s server; only who is invited through an address is invited by another one. */
  #signatureProblem(event: JsonObject): string | undefined {
    const home = String(event.sender).replace(/^[^:]*:/, '')
    const signer = this.#run.world.servers.find(({ name }) => name === home)?.ownSigner
    if (signer === undefined) return 'nobody is the server of its sender'
    const keys = [{ keyId: signer.keyId, key: signer.publicKey }]
    return signatureProblem(redact(this.#room.version, event), home, keys)
  }

  #problem(what: string): void {
    const { version, giver } = this.#room
    this.#run.problems.push(`version ${version.id}: ${giver.name} ${what}`)
  }
}
