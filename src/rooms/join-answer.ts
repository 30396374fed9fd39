/**
 * What a resident server gives us when we join, and what of it we believe.
 *
 * The resident can leave out, make up or exchange what it likes. It cannot make up events of others,
 * since every event is signed and named by its hash; so what remains to be checked is that these
 * events are one room's, of the version it was said to be, and that our own event comes back as we
 * made it. Whether that room lets us in, the auth rules say when it is imported.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#joining-rooms
 *
 * @module
 */

import { Slices } from '#io/slices.ts'
import { canonicalJson } from '#protocol/canonical-json.ts'
import type { EventId, RoomId, ServerName } from '#protocol/identifiers/ids.ts'
import { parseServerName } from '#protocol/identifiers/server-name.ts'
import type { Pdu } from '#protocol/pdu.ts'
import { type RoomVersion, roomVersions } from '#protocol/room-version.ts'
import { Avoidance } from './avoidance.ts'
import type { RoomImport } from './engine.ts'
import { lackingOf } from './fetch-auth.ts'
import { FetchBudget } from './fetch-budget.ts'
import { type Fetch, fetchEvents } from './fetching.ts'
import type { RoomParts } from './parts.ts'
import { FederationError, type MembershipTemplate, type RemoteServers } from './remote-servers.ts'
import { stateKeyText } from './state-key.ts'
import type { Unproved } from './unproved-state.ts'

/** What the log says when a room is joined without all of its state. */
export const droppedOfRoom = 'events of a room we join were dropped'

/** How many servers are believed to be in a room. Matrix's largest rooms have some ten thousand. */
const serversInRoomMax = 100_000

export type JoinAnswer = Awaited<ReturnType<RemoteServers['sendJoin']>>

/** The room to import. Throws a `FederationError` if the answer cannot be one. */
export async function checkJoinAnswer(
  parts: RoomParts,
  {
    from,
    template,
    event,
    answer,
  }: {
    readonly from: ServerName
    readonly template: MembershipTemplate
    readonly event: Pdu
    readonly answer: JoinAnswer
  },
): Promise<RoomImport> {
  const { room_id: roomId } = event
  const partial = answer.membersOmitted ? { servers: serversNamed(from, answer) } : undefined
  const slices = new Slices(parts.clock)
  const admit = async (pdus: readonly Uint8Array[]) =>
    await admitOfRoom(parts, { from, roomId, version: event.version }, pdus)
  const { pdus: state, unproved } = await admit(answer.state)
  const create = createEventIn(state)
  if (create === undefined) throw unusable(from, 'the state has no create event')
  const version = versionOf(create)
  const named = template.roomVersion
  if (version === undefined || (named === undefined ? !isOldest(version) : named !== version.id)) {
    throw unusable(from, 'the create event is of another room version')
  }
  const twice = firstRepeatedKey(state)
  if (twice !== undefined) throw unusable(from, `the state has two events for ${twice}`)
  await slices.next()
  const known = await parts.rooms.currentState(roomId)
  const knownCreate = known?.eventId('m.room.create', '')
  if (knownCreate !== undefined && knownCreate !== create.event_id) {
    throw unusable(from, 'the create event is not the one that we know')
  }
  const { pdus: authChain } = await admit(answer.authChain)
  await slices.next()
  const lost = firstLostKey(event, { state, authChain, partial })
  if (lost !== undefined) throw unusable(from, `the state has nothing for ${lost}`)
  const signed = await signedJoin(parts, { from, event, answer })
  // What did not pass the door would not pass it the next time either.
  const isAllHere =
    state.length + authChain.length === answer.state.length + answer.authChain.length
  const left = isAllHere ? await leftOut(parts, { from, event }, [...state, ...authChain]) : []
  const chain = [...authChain, ...left]
  const all = { roomId, version, event: signed, state, authChain: chain, partial, unproved }
  return version === event.version ? all : rereadAs(version, all)
}

/**
 * What the events of an answer lean on, and the resident left out of the auth chain: whatever leans on
 * what is not here has no place in the room, and would be missing from its state. What our own event
 * leans on must be in the answer: it is state.
 */
async function leftOut(
  parts: RoomParts,
  { from, event }: { readonly from: ServerName; readonly event: Pdu },
  given: readonly Pdu[],
): Promise<Pdu[]> {
  const { room_id: roomId, version } = event
  const here = new Set([...event.auth_events, ...given.map(({ event_id }) => event_id)])
  const isHere = (eventId: EventId) => here.has(eventId)
  const budget = new FetchBudget(parts.clock)
  const avoidance = new Avoidance(parts.clock)
  const fetch: Fetch = { parts, roomId, version, servers: [from], budget, avoidance }
  const found: Pdu[] = []
  let lacking = await lackingOf(fetch, given, isHere)
  while (lacking.length > 0 && !budget.isSpent) {
    const fetched = [...(await fetchEvents(fetch, lacking)).values()]
    const fresh = fetched.filter((pdu) => pdu.room_id === roomId)
    for (const { event_id: eventId } of fresh) here.add(eventId)
    found.push(...fresh)
    if (fresh.length < lacking.length) break
    lacking = await lackingOf(fetch, fresh, isHere)
  }
  const dropped = lacking.filter((eventId) => !isHere(eventId)).length
  if (dropped > 0) parts.log.warn(droppedOfRoom, { from, roomId, dropped })
  return found
}

/**
 * Our event as it is to be stored. The resident server's signature is needed only where it authorised
 * the join; else our event stays as we made it.
 */
export async function signedJoin(
  parts: RoomParts,
  {
    from,
    event,
    answer,
  }: { readonly from: ServerName; readonly event: Pdu; readonly answer: JoinAnswer },
): Promise<Pdu> {
  const isAuthorised = event.content.join_authorised_via_users_server !== undefined
  if (!isAuthorised || !event.version.restrictedJoins) return event
  if (answer.event === undefined) throw unusable(from, 'our event did not come back signed')
  // The door drops a join that lacks the signature of the server of who authorised it.
  const [checked] = await parts.engine.admit(event.version, [answer.event], {
    origin: from,
    route: 'send_join response',
  })
  if (!checked?.ok) throw unusable(from, 'our event came back without a signature that counts')
  if (checked.redacted || !isSameEvent(event, checked.pdu)) {
    throw unusable(from, 'our event came back changed')
  }
  return checked.pdu
}

/** Whether two events differ in nothing but signatures. */
export function isSameEvent(ours: Pdu, theirs: Pdu): boolean {
  return ours.event_id === theirs.event_id && unsignedText(ours) === unsignedText(theirs)
}

function unsignedText({ json }: Pdu): string {
  const { signatures: _signatures, ...rest } = json
  return canonicalJson(rest)
}

/** What there is in a list of PDUs. */
interface Admitted {
  /** Those that pass the door and are of the room. */
  readonly pdus: readonly Pdu[]
  /** The others, as far as they can be told. */
  readonly unproved: Unproved
}

/** A bad one must not fail the join. */
async function admitOfRoom(
  { engine, log }: RoomParts,
  {
    from,
    roomId,
    version,
  }: { readonly from: ServerName; readonly roomId: RoomId; readonly version: RoomVersion },
  bytes: readonly Uint8Array[],
): Promise<Admitted> {
  const pdus: Pdu[] = []
  const unproved = new Map<EventId, undefined>()
  const checked = await engine.admit(version, bytes, { origin: from, route: 'send_join response' })
  let dropped = 0
  for (const one of checked) {
    if (one.ok && one.pdu.room_id === roomId) pdus.push(one.pdu)
    else dropped += 1
    if (!one.ok && one.eventId !== undefined) unproved.set(one.eventId as EventId, undefined)
  }
  if (dropped > 0) log.warn(droppedOfRoom, { from, roomId, dropped })
  return { pdus, unproved }
}

/**
 * The servers in the room, by which we know whom to send to and whom to ask while members are left out:
 * required then. The resident itself is among them, whatever it says.
 */
function serversNamed(from: ServerName, { serversInRoom }: JoinAnswer): ServerName[] {
  if (serversInRoom === undefined) throw unusable(from, 'it names no servers that are in the room')
  const named = serversInRoom
    .slice(0, serversInRoomMax)
    .flatMap((name) => parseServerName(name) ?? [])
  return [...new Set(named)]
}

function createEventIn(state: readonly Pdu[]): Pdu | undefined {
  return state.find(({ type, state_key }) => type === 'm.room.create' && state_key === '')
}

function versionOf({ content }: Pdu): RoomVersion | undefined {
  const { room_version: id = '1' } = content
  return typeof id === 'string' ? roomVersions.get(id) : undefined
}

/** Whether the room may be one whose template names no version. */
function isOldest({ referencesHaveHashes }: RoomVersion): boolean {
  return referencesHaveHashes
}

function firstRepeatedKey(state: readonly Pdu[]): string | undefined {
  const seen = new Set<string>()
  for (const { type, state_key } of state) {
    if (state_key === undefined) return `${type}, which is no state`
    const key = stateKeyText(type, state_key)
    if (seen.has(key)) return JSON.stringify([type, state_key])
    seen.add(key)
  }
  return undefined
}

/**
 * What allows our event comes from the room's state, and an entry of a state may change but never
 * vanishes: a place of the state that our event's auth events stand at cannot be empty.
 */
function firstLostKey(
  event: Pdu,
  { state, authChain, partial }: Pick<RoomImport, 'state' | 'authChain' | 'partial'>,
): string | undefined {
  const mayLack = ({ type }: Pdu) => partial !== undefined && type === 'm.room.member'
  const keyOf = ({ type, state_key = '' }: Pdu) => stateKeyText(type, state_key)
  const present = new Set(state.map(keyOf))
  const lost = authChain.find(
    (pdu) => event.auth_events.includes(pdu.event_id) && !present.has(keyOf(pdu)) && !mayLack(pdu),
  )
  return lost && JSON.stringify([lost.type, lost.state_key])
}

/** The same events in a version of the same format, where the template did not say which of the two. */
function rereadAs(version: RoomVersion, room: RoomImport): RoomImport {
  const reread = (pdu: Pdu): Pdu => ({ ...pdu, version })
  return {
    ...room,
    event: reread(room.event),
    state: room.state.map(reread),
    authChain: room.authChain.map(reread),
  }
}

function unusable(from: ServerName, why: string): FederationError {
  return new FederationError(
    from,
    'bad-answer',
    `The room as ${from} gave it cannot be used: ${why}.`,
  )
}
