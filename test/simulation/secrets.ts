/**
 * A room that one server has for itself. Nothing of it comes to another one, whatever that asks for: what
 * is said there holds a word, and the word is looked for in all that servers say to each other.
 *
 * @module
 */

import { HttpFailure, type OutgoingRequest } from '../../src/io/http.ts'
import type { SeededRandom } from '../../src/io/simulated/simulated-random.ts'
import type { RoomId, ServerName } from '../../src/protocol/identifiers/ids.ts'
import { signedRequest } from '../signed-request.ts'
import type { SimulatedClient } from './client.ts'
import { heldIds } from './held-rooms.ts'
import { count, type Run, type Secret } from './run.ts'
import type { SimulatedServer } from './simulated-server.ts'

const word = 'nobody-else-may-read-this'
/** In how many worlds somebody has such a room. */
const share = 0.3
/** How likely somebody asks for it before a step. */
const snoopChance = 0.1

/** Perhaps somebody makes a room for themselves, says something there, and keeps it in their account. */
export async function keepSecret(run: Run, random: SeededRandom): Promise<void> {
  const [by] = run.clients
  if (by === undefined || run.world.servers.length < 2) return
  if (!random.happens(share) || !run.script.includes('a secret')) return
  run.secret = await run.world.time.await(makeSecret(by, random))
  watchFor(run, run.secret)
  count(run, 'secret')
}

async function makeSecret(by: SimulatedClient, random: SeededRandom): Promise<Secret> {
  const history_visibility = random.pick(['shared', 'invited', 'joined'])
  const roomId = await by.createRoom({
    preset: 'private_chat',
    room_version: String(1 + random.below(12)),
    name: word,
    initial_state: [{ type: 'm.room.history_visibility', content: { history_visibility } }],
  })
  const eventId = await by.send(roomId, word)
  await by.call('PUT', `/v3/user/${encodeURIComponent(by.userId)}/account_data/test.secret`, {
    word,
  })
  return { by, roomId, eventId }
}

/** Looks at all that servers ask each other and answer. */
function watchFor(run: Run, { roomId, eventId }: Secret): void {
  const { network, servers } = run.world
  const { onRequest } = network
  const isBetween = (from: string, to: string) =>
    [from, to].every((one) => servers.some(({ address }) => address === one))
  const names = [roomId, eventId].map(encodeURIComponent)
  network.onRequest = (from, to, request) => {
    onRequest?.(from, to, request)
    if (isBetween(from, to) && Buffer.from(request.body ?? '').includes(word))
      run.problems.push(`${from} tells ${to} a secret: ${request.method} ${request.target}`)
  }
  network.onAnswer = (from, to, { method, target }: OutgoingRequest, { status, body }) => {
    if (!isBetween(from, to)) return
    const isAskedFor = names.some((name) => target.includes(name))
    if (isAskedFor) count(run, `asked for a secret: ${status}`)
    if (Buffer.from(body).includes(word) || (isAskedFor && status < 300))
      run.problems.push(`${from} gives ${to} a secret: ${method} ${target}`)
  }
}

/** Before a step of a run: perhaps another server asks for what is secret. */
export function snoop(run: Run, step: number, random: SeededRandom): void {
  const { secret } = run
  if (secret === undefined || !random.happens(snoopChance)) return
  const asker = random.pick(run.world.servers)
  const [what, ask] = random.pick(Object.entries(questions))
  if (asker === secret.by.server || !asker.isUp) return
  if (!run.script.includes(`before step ${step}: ${asker.host} asks for a secret: ${what}`)) return
  const client = run.world.network.client(asker.address, run.world.time.clock())
  const { method, target, json } = ask(secret, asker)
  const to = secret.by.server.name as ServerName
  const content = json && Buffer.from(JSON.stringify(json))
  void signedRequest(client, asker.ownSigner, { to, method, target, content }).catch(
    (error: unknown) => {
      if (!(error instanceof HttpFailure)) run.problems.push(`asking for a secret: ${error}`)
    },
  )
}

interface Question {
  readonly method: string
  readonly target: string
  readonly json?: object
}

const federation = '/_matrix/federation'
const encode = encodeURIComponent
const get = (path: string): Question => ({ method: 'GET', target: `${federation}${path}` })

/** All that another server may ask about a room, an event, or somebody. */
const questions: Readonly<Record<string, (secret: Secret, asker: SimulatedServer) => Question>> = {
  event: ({ eventId }) => get(`/v1/event/${encode(eventId)}`),
  state: ({ roomId, eventId }) => get(`/v1/state/${encode(roomId)}?event_id=${encode(eventId)}`),
  'state IDs': ({ roomId, eventId }) =>
    get(`/v1/state_ids/${encode(roomId)}?event_id=${encode(eventId)}`),
  'auth chain': ({ roomId, eventId }) => get(`/v1/event_auth/${encode(roomId)}/${encode(eventId)}`),
  backfill: ({ roomId, eventId }) =>
    get(`/v1/backfill/${encode(roomId)}?v=${encode(eventId)}&limit=100`),
  'missing events': ({ roomId, eventId }) => ({
    method: 'POST',
    target: `${federation}/v1/get_missing_events/${encode(roomId)}`,
    json: { earliest_events: [], latest_events: [eventId], limit: 20 },
  }),
  'event by time': ({ roomId }) =>
    get(`/v1/timestamp_to_event/${encode(roomId)}?ts=1800000000000&dir=b`),
  space: ({ roomId }) => get(`/v1/hierarchy/${encode(roomId)}`),
  join: ({ roomId }, asker) => get(membership('make_join', roomId, asker)),
  knock: ({ roomId }, asker) => get(membership('make_knock', roomId, asker)),
  leave: ({ roomId }, asker) => get(membership('make_leave', roomId, asker)),
  'public rooms': () => get('/v1/publicRooms'),
  profile: ({ by }) => get(`/v1/query/profile?user_id=${encode(by.userId)}`),
  devices: ({ by }) => get(`/v1/user/devices/${encode(by.userId)}`),
  transaction: ({ roomId, eventId }, asker) => ({
    method: 'PUT',
    target: `${federation}/v1/send/snoop${roomId.length}${eventId.length}`,
    json: {
      origin: asker.name,
      origin_server_ts: 1,
      pdus: [
        { room_id: roomId, type: 'm.room.message', prev_events: [eventId], event_id: eventId },
      ],
      edus: [
        { edu_type: 'm.typing', content: { room_id: roomId, user_id: user(asker), typing: true } },
      ],
    },
  }),
}

function user({ name }: SimulatedServer): string {
  return `@user0:${name}`
}

function membership(operation: string, roomId: string, asker: SimulatedServer): string {
  const versions = Array.from({ length: 12 }, (_, index) => `ver=${index + 1}`).join('&')
  return `/v1/${operation}/${encode(roomId)}/${encode(user(asker))}?${versions}`
}

/** Its maker can still say something there, and nobody else has. */
export async function secretIsKept(run: Run): Promise<void> {
  const { secret } = run
  if (secret === undefined || secret.by.server.rollBacks.length > 0) return
  const { by, roomId } = secret
  const { time } = run.world
  const last = await time.await(by.send(roomId, word))
  if ((await time.await(by.wholeTimeline(roomId))).at(-1) !== last)
    run.problems.push(`the last word in the room of ${by.userId} alone is another one`)
  const held = await time.await(heldIds(by.server, roomId as RoomId))
  const { rooms } = by.server.running.server
  for (const { pdu } of await time.await(rooms.events(roomId as RoomId, held))) {
    if (pdu.sender !== by.userId)
      run.problems.push(`${pdu.sender} is heard in the room of ${by.userId} alone`)
  }
}
