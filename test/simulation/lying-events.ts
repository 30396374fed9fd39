/**
 * Events as a liar writes them, hashed and signed whatever they hold, and how it sends them.
 *
 * @module
 */

import { HttpFailure, type IncomingAnswer } from '../../src/io/http.ts'
import type { SeededRandom } from '../../src/io/simulated/simulated-random.ts'
import { authStateOf } from '../../src/protocol/auth-rules/auth-state.ts'
import { checkAuthRules } from '../../src/protocol/auth-rules/check.ts'
import { referenceTo } from '../../src/protocol/build-pdu.ts'
import type { RoomId, ServerName } from '../../src/protocol/identifiers/ids.ts'
import { parsePdu } from '../../src/protocol/parse-pdu.ts'
import type { Pdu } from '../../src/protocol/pdu.ts'
import type { RoomVersion } from '../../src/protocol/room-version.ts'
import { idOf, type RawEvent, sealed, textOf } from '../scripted-peer/forged-event.ts'
import { signedRequest } from '../signed-request.ts'
import type { SimulatedClient } from './client.ts'
import { authOf, type Claim, type Place, placeAtEnd } from './forge.ts'
import type { Run } from './run.ts'
import type { SimulatedServer } from './simulated-server.ts'

/** A liar at work: in whose name, in which room, at which place of it. */
export interface Liar {
  readonly run: Run
  readonly server: SimulatedServer
  readonly client: SimulatedClient
  readonly roomId: string
  readonly place: Place
  readonly random: SeededRandom
}

/** `undefined` if the liar has nobody in a room that it knows. */
export async function liarIn(
  run: Run,
  server: SimulatedServer,
  random: SeededRandom,
): Promise<Liar | undefined> {
  const own = run.clients.filter((client) => client.server === server)
  if (!server.isUp || own.length === 0 || run.rooms.length === 0) return undefined
  const [client, { roomId }] = [random.pick(own), random.pick(run.rooms)]
  const place = await placeAtEnd(server, roomId as RoomId)
  if (place === undefined || place.prevs.length === 0 || !server.isUp) return undefined
  if (run.world.servers.every((other) => other === server || !other.isUp)) return undefined
  return { run, server, client, roomId, place, random }
}

/** The others that run, at least one. */
export function others({ run, server }: Liar): SimulatedServer[] {
  return run.world.servers.filter((one) => one !== server && one.isUp)
}

/** What an event refers to, as the version writes it. */
export function references(version: RoomVersion, pdus: readonly Pdu[]): unknown[] {
  return pdus.map(referenceTo).map(({ event_id, sha256 }) => {
    if (!version.referencesHaveHashes) return event_id
    return [event_id, { sha256 }]
  })
}

/** An event at the end of the room, not yet signed. `more` takes the place of what it would have. */
export function drafted(liar: Liar, claim: Claim, more: RawEvent = {}): RawEvent {
  const { run, server, client, roomId, place } = liar
  const { version, prevs } = place
  run.forgedIds += 1
  return {
    ...(version.eventId === 'in-event' ? { event_id: `$lie${run.forgedIds}:${server.name}` } : {}),
    room_id: roomId,
    sender: client.userId,
    ...claim,
    depth: Math.max(...prevs.map(({ depth }) => depth)) + 1,
    origin_server_ts: server.running.server.clock.now(),
    prev_events: references(version, prevs),
    auth_events: references(version, authOf(client, place, claim)),
    ...more,
  }
}

/** The event, hashed and signed by the liar. */
export function signedBy({ server, place }: Liar, event: RawEvent): RawEvent {
  return sealed(place.version, event, server.ownSigner)
}

/** A message that the room allows; `undefined` if it does not. */
export function honestMessage(liar: Liar, body: string): RawEvent | undefined {
  const event = signedBy(liar, drafted(liar, { type: 'm.room.message', content: { body } }))
  return isAllowed(liar, event) ? event : undefined
}

export function isAllowed({ place }: Liar, event: RawEvent): boolean {
  const parsed = parsePdu(place.version, Buffer.from(textOf(event)))
  return parsed.ok && checkAuthRules(parsed.pdu, authStateOf(place.state)).allowed
}

export function idIn({ place }: Liar, event: RawEvent): string {
  return idOf(place.version, event)
}

/** Sends a request in the liar's name; `undefined` if no answer comes. */
export async function lyingRequest(
  { server, run }: Liar,
  to: SimulatedServer,
  { method, target, text }: { method: string; target: string; text: string },
): Promise<IncomingAnswer | undefined> {
  const client = run.world.network.client(server.address, run.world.time.clock())
  const content = Buffer.from(text)
  const request = { to: to.name as ServerName, method, target, content }
  try {
    return await signedRequest(client, server.ownSigner, request)
  } catch (error) {
    if (error instanceof HttpFailure) return undefined
    throw error
  }
}

interface Transaction {
  /** Each as its text. */
  readonly pdus?: readonly string[]
  readonly edus?: readonly string[]
  readonly txnId?: string
}

/**
 * Sends a transaction. Whatever is in it, it is not refused as a whole. Gives the errors by event, of a
 * transaction that was taken.
 */
export async function lyingTransaction(
  liar: Liar,
  to: SimulatedServer,
  { pdus = [], edus = [], txnId = `lie${liar.run.forgedIds}` }: Transaction,
): Promise<Readonly<Record<string, { readonly error?: string }>> | undefined> {
  const { run, server } = liar
  if (!server.isUp) return undefined
  const now = server.running.server.clock.now()
  const head = `"origin":${JSON.stringify(server.name)},"origin_server_ts":${now}`
  const text = `{"edus":[${edus.join(',')}],${head},"pdus":[${pdus.join(',')}]}`
  const target = `/_matrix/federation/v1/send/${txnId}`
  const answer = await lyingRequest(liar, to, { method: 'PUT', target, text })
  if (answer === undefined) return undefined
  if (answer.status === 200) return errorsIn(answer)
  if (answer.status === 400 || answer.status === 413) {
    const said = Buffer.from(answer.body).toString()
    run.problems.push(`${to.name} refused a transaction of ${server.name} as a whole: ${said}`)
  }
  return undefined
}

/** What stands between two servers may give a page, and call it an answer. */
function errorsIn({ body }: IncomingAnswer): Record<string, { error?: string }> | undefined {
  try {
    return (JSON.parse(Buffer.from(body).toString()) as { pdus?: Record<string, object> }).pdus
  } catch {
    return undefined
  }
}

/** Sends an event that the room allows, and notes that it was taken. */
export async function sendHonest(
  liar: Liar,
  to: SimulatedServer,
  event: RawEvent,
  transaction: Transaction = {},
): Promise<boolean> {
  const eventId = idIn(liar, event)
  const pdus = transaction.pdus ?? [textOf(event)]
  const errors = await lyingTransaction(liar, to, { ...transaction, pdus })
  const isTaken = errors?.[eventId] !== undefined && errors[eventId].error === undefined
  if (isTaken) liar.run.taken.push({ by: to, roomId: liar.roomId, eventId })
  return isTaken
}
