/**
 * A server that lies: it signs events past its own rooms, and sends them to whom it likes.
 *
 * - What no room allows, it sends to all others as if it had been accepted at home: claims without the
 *   power to make them, events that name other auth events than they may.
 * - What is allowed, it sends so that others see different rooms: forks from long ago, with times that
 *   are not true, to some servers only, and to each of them another one. It learns of these itself from
 *   others, as of any event.
 *
 * @module
 */

import type { SeededRandom } from '../../src/io/simulated/simulated-random.ts'
import { selectAuthEvents } from '../../src/protocol/auth-rules/auth-events.ts'
import { authStateOf } from '../../src/protocol/auth-rules/auth-state.ts'
import { checkAuthRules } from '../../src/protocol/auth-rules/check.ts'
import { buildPdu, referenceTo } from '../../src/protocol/build-pdu.ts'
import type { EventId, RoomId, ServerName, UserId } from '../../src/protocol/identifiers/ids.ts'
import type { JsonObject } from '../../src/protocol/json.ts'
import type { Pdu } from '../../src/protocol/pdu.ts'
import type { RoomVersion } from '../../src/protocol/room-version.ts'
import type { StateView } from '../../src/rooms/rooms.ts'
import { signedRequest } from '../signed-request.ts'
import type { SimulatedClient } from './client.ts'
import { extremitiesOf } from './held-rooms.ts'
import { count, type Run } from './run.ts'
import type { SimulatedServer } from './simulated-server.ts'

interface Forgery {
  readonly random: SeededRandom
  readonly client: SimulatedClient
  readonly roomId: string
  readonly other: SimulatedClient
}

export interface Claim {
  readonly type: string
  readonly state_key?: string
  readonly content: JsonObject
}

/** Where an event is put in a room: what it comes after, and the state there. */
export interface Place {
  readonly version: RoomVersion
  readonly prevs: readonly Pdu[]
  readonly state: readonly Pdu[]
}

/** Sends the others something that they must reject, unless it happens to be allowed. */
export async function forge(run: Run, forgery: Forgery): Promise<void> {
  const { server } = forgery.client
  const place = server.isUp ? await placeAtEnd(server, forgery.roomId as RoomId) : undefined
  if (place === undefined) return
  const pdu = await refusedPdu(run, forgery, place)
  if (pdu === undefined) return
  count(run, 'forgery')
  run.forged.push({ roomId: forgery.roomId, eventId: pdu.event_id, pdu })
  const others = run.world.servers.filter((one) => one !== server)
  const random = forgery.random.fork('followed')
  const isFollowed = random.happens(0.4) && run.script.includes(`${server.host} follows forgeries`)
  const victim = isFollowed && others.length > 1 ? random.pick(others) : undefined
  const told = others.filter((one) => one !== victim)
  await Promise.all(told.map((other) => sendTo(server, other, pdu)))
  if (victim !== undefined) await follow(run, forgery, { place, pdu, victim, told })
}

/**
 * Lets one server know a refused event only as an auth event of another one, and sends all of them a good
 * event that follows it: for the others it is one of the room.
 */
async function follow(
  run: Run,
  { client, roomId }: Forgery,
  { place, pdu, victim, told }: Followed,
): Promise<void> {
  // It may have died while it told the others.
  if (!client.server.isUp) return
  const auth = [...authOf(client, place, message), pdu]
  const leaning = signed(run, { client, roomId, place, claim: message, auth })
  const after = { client, roomId, lateMs: 0, place: { ...place, prevs: [pdu] } }
  const child = allowedPdu(run, { ...after, claim: afterForgery })
  if (leaning === undefined || child === undefined) return
  await sendTo(client.server, victim, leaning)
  await run.world.time.clock().sleep(followedMs)
  await Promise.all([victim, ...told].map((other) => sendTo(client.server, other, child)))
  count(run, 'forgery followed')
}

interface Followed {
  readonly place: Place
  readonly pdu: Pdu
  readonly victim: SimulatedServer
  readonly told: readonly SimulatedServer[]
}

/** For how long those who were told of a refused event may ask for what it names. */
const followedMs = 5000

/** How far back a lying server forks a room. */
const forkDepthMax = 30
const dayMs = 86_400_000

/** Sends some of the others a fork from an earlier time, and perhaps each of them another one. */
export async function fork(run: Run, { random, client, roomId }: Forgery): Promise<void> {
  const { server } = client
  const place = server.isUp ? await placeInPast(random, server, roomId as RoomId) : undefined
  if (place === undefined) return
  const some = run.world.servers.filter((one) => one !== server && random.happens(0.6))
  const equivocates = random.happens(0.5)
  const lateMs = Math.floor((2 * random.fraction() - 1) * dayMs)
  const said = () => random.pick(allowedClaims)(random.below(1000))
  const one = said()
  const sent = some.map((other) => {
    const claim = equivocates ? said() : one
    const pdu = allowedPdu(run, { client, place, claim, roomId, lateMs })
    return { other, pdu }
  })
  count(run, equivocates ? 'fork with two faces' : 'fork')
  await Promise.all(sent.map(({ other, pdu }) => pdu && sendTo(server, other, pdu)))
}

const allowedClaims: readonly ((number: number) => Claim)[] = [
  (number) => ({ type: 'm.room.message', content: { msgtype: 'm.text', body: `fork ${number}` } }),
  (number) => ({ type: 'm.room.topic', state_key: '', content: { topic: `fork ${number}` } }),
  (number) => ({ type: 'm.room.name', state_key: '', content: { name: `fork ${number}` } }),
]

export async function placeAtEnd(
  server: SimulatedServer,
  roomId: RoomId,
): Promise<Place | undefined> {
  const { rooms } = server.running.server
  const [version, state] = [await rooms.version(roomId), await rooms.currentState(roomId)]
  if (version === undefined || state === undefined) return undefined
  const ends = (await extremitiesOf(server, roomId)).slice(0, 20) as EventId[]
  const prevs = (await rooms.events(roomId, ends)).map(({ pdu }) => pdu)
  return { version, prevs, state: await state.events() }
}

async function placeInPast(
  random: SeededRandom,
  server: SimulatedServer,
  roomId: RoomId,
): Promise<Place | undefined> {
  const { rooms } = server.running.server
  const version = await rooms.version(roomId)
  const timeline = await rooms.timeline(roomId, {
    from: { stream: Number.MAX_SAFE_INTEGER, sub: 0 },
    direction: 'backwards',
    limit: forkDepthMax,
  })
  if (version === undefined || timeline.length === 0) return undefined
  const { pdu } = random.pick(timeline)
  const state: StateView | undefined = await rooms.stateAfter(roomId, pdu.event_id)
  return state && { version, prevs: [pdu], state: await state.events() }
}

/** An event as it ought to be, if the rules allow it at its place. */
function allowedPdu(
  run: Run,
  fork: {
    readonly client: SimulatedClient
    readonly place: Place
    readonly claim: Claim
    readonly roomId: string
    readonly lateMs: number
  },
): Pdu | undefined {
  const auth = authOf(fork.client, fork.place, fork.claim)
  const pdu = signed(run, { ...fork, auth })
  const state = authStateOf(fork.place.state)
  return pdu && checkAuthRules(pdu, state).allowed ? pdu : undefined
}

/** What changes the auth events of an event so that no server may accept it. */
const wrongAuth: Readonly<Record<string, (auth: readonly Pdu[], place: Place) => readonly Pdu[]>> =
  {
    'no member event': (auth) => auth.filter(({ type }) => type !== 'm.room.member'),
    'an auth event twice': ([first, ...rest]) => (first ? [first, first, ...rest] : []),
    'one auth event too many': (auth, { state }) => [
      ...auth,
      ...state.filter(({ type }) => type === 'm.room.history_visibility'),
    ],
  }

/** Makes an event that must be refused, unless what it tries happens to be allowed. */
type Attempt = (
  run: Run,
  forgery: Forgery,
  place: Place,
) => Promise<Pdu | undefined> | Pdu | undefined

const attempts: Readonly<Record<string, Attempt>> = {
  'wrong auth events': (run, forgery, place) => {
    const { random, client } = forgery
    const [name, change] = random.pick(Object.entries(wrongAuth))
    const right = authOf(client, place, message)
    const auth = change(right, place)
    if (auth.length === right.length) return undefined
    count(run, `forgery: ${name}`)
    return signed(run, { ...forgery, place, claim: message, auth })
  },
  'no power': (run, forgery, place) => {
    const claim = claimed(forgery)
    const auth = authOf(forgery.client, place, claim)
    const pdu = signed(run, { ...forgery, place, claim, auth })
    const create = place.state.filter(({ type }) => type === 'm.room.create')
    const isAllowed = pdu && checkAuthRules(pdu, authStateOf([...create, ...auth])).allowed
    return isAllowed ? undefined : pdu
  },
  // Its auth events allow it, and the state before it does not.
  'auth events of the past': async (run, forgery, place) => {
    const { random, client, roomId } = forgery
    const { rooms } = client.server.running.server
    // Who does not know all of the members takes for forbidden what others know to be allowed.
    if ((await rooms.partialState(roomId as RoomId)) !== undefined) return undefined
    const past = await placeInPast(random, client.server, roomId as RoomId)
    const claim = random.pick([message, topic])
    const auth = past === undefined ? [] : authOf(client, past, claim)
    const pdu = signed(run, { ...forgery, place, claim, auth })
    const allows = (events: readonly Pdu[]) =>
      pdu !== undefined && checkAuthRules(pdu, authStateOf(events)).allowed
    return past !== undefined && allows(past.state) && !allows(place.state) ? pdu : undefined
  },
  'auth events that were rejected': (run, forgery, place) => {
    const { client, roomId } = forgery
    const rejected = run.forged.findLast(({ pdu }) => {
      return pdu?.room_id === roomId && pdu.type === 'm.room.power_levels'
    })
    if (rejected?.pdu === undefined) return undefined
    const others = authOf(client, place, topic).filter(({ type }) => type !== 'm.room.power_levels')
    const auth = [...others, rejected.pdu]
    return signed(run, { ...forgery, place, claim: topic, auth })
  },
}

async function refusedPdu(run: Run, forgery: Forgery, place: Place): Promise<Pdu | undefined> {
  const [name, attempt] = forgery.random.pick(Object.entries(attempts))
  const pdu = await attempt(run, forgery, place)
  if (pdu !== undefined) count(run, `forgery: ${name}`)
  return pdu
}

const message: Claim = { type: 'm.room.message', content: { body: 'forged' } }
const afterForgery: Claim = { type: 'm.room.message', content: { body: 'after a forgery' } }
const topic: Claim = { type: 'm.room.topic', state_key: '', content: { topic: 'forged' } }

export function authOf({ userId }: SimulatedClient, { version, state }: Place, claim: Claim) {
  const subject = { version, sender: userId as UserId, ...claim }
  return selectAuthEvents(subject, authStateOf(state))
}

function signed(
  run: Run,
  event: {
    readonly client: SimulatedClient
    readonly roomId: string
    readonly place: Place
    readonly claim: Claim
    readonly auth: readonly Pdu[]
    readonly lateMs?: number
  },
): Pdu | undefined {
  const { client, claim, auth, lateMs = 0 } = event
  const { version, prevs } = event.place
  const signer = client.server.ownSigner
  const { clock } = client.server.running.server
  run.forgedIds += 1
  const built = buildPdu(
    version,
    {
      ...(version.eventId === 'in-event'
        ? { event_id: `$forged${run.forgedIds}:${signer.serverName}` as EventId }
        : {}),
      room_id: event.roomId as RoomId,
      sender: client.userId as UserId,
      ...claim,
      depth: Math.max(...prevs.map(({ depth }) => depth)) + 1,
      origin_server_ts: clock.now() + lateMs,
      prev_events: prevs.map(referenceTo),
      auth_events: auth.map(referenceTo),
    },
    signer,
  )
  return built.ok ? built.pdu : undefined
}

function claimed({ random, client, other }: Forgery): Claim {
  const users = { [client.userId]: 100 }
  return random.pick([
    { type: 'm.room.power_levels', state_key: '', content: { users } },
    { type: 'm.room.join_rules', state_key: '', content: { join_rule: 'public' } },
    topic,
    { type: 'm.room.member', state_key: other.userId, content: { membership: 'ban' } },
    { type: 'm.room.member', state_key: other.userId, content: { membership: 'join' } },
    { type: 'm.room.name', state_key: client.userId, content: { name: 'forged' } },
  ])
}

async function sendTo(from: SimulatedServer, to: SimulatedServer, pdu: Pdu): Promise<void> {
  if (!from.isUp) return
  const signer = from.ownSigner
  const { clock } = from.running.server
  const head = JSON.stringify({ origin: signer.serverName, origin_server_ts: clock.now() })
  const text = `${head.slice(0, -1)},"pdus":[${new TextDecoder().decode(pdu.bytes)}]}`
  const target = `/_matrix/federation/v1/send/forged${pdu.event_id.slice(1, 9)}`
  const client = from.world.network.client(from.address, from.world.time.clock())
  const content = new TextEncoder().encode(text)
  await signedRequest(client, signer, { to: to.name as ServerName, method: 'PUT', target, content })
}
