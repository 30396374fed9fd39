/**
 * The routes by which other servers hand us events: transactions, and the second halves of the
 * handshakes for joining, knocking, leaving and inviting.
 *
 * @module
 */

import assert from 'node:assert/strict'
import type { EventId, RoomId, UserId } from '../../src/protocol/identifiers/ids.ts'
import type { JsonObject } from '../../src/protocol/json.ts'
import { readJson } from '../../src/protocol/json-reader.ts'
import type { RoomVersion } from '../../src/protocol/room-version.ts'
import type { RawEvent } from '../scripted-peer/forged-event.ts'
import type { PeerRoom } from '../scripted-peer/peer-room.ts'
import { listOf } from '../scripted-peer/scripted-peer.ts'
import { assertFates, type Cell, cellsOf, type Scene } from './cells.ts'

const pdusPerTransaction = 50

/** Alice of the server joins a room of the played one's. */
export async function joinedRoom(
  { a, peer, version, count }: Scene,
  joinRules: JsonObject = { join_rule: 'public' },
): Promise<PeerRoom> {
  const room = peer.createRoom(version, { joinRules, tag: `room${count()}` })
  await a.join(a.user('alice'), room.roomId, [peer as never])
  return room
}

/** PUT /send: one bad event never fails its transaction. */
export async function bySend(scene: Scene): Promise<Cell[]> {
  const { a, peer, world } = scene
  const room = await joinedRoom(scene)
  const cells = await cellsOf(
    scene,
    () => room.draft(peer.user('u'), `c.${scene.count()}`, { body: 'x' }),
    { isForNewEvents: true },
  )
  for (let at = 0; at < cells.length; at += pdusPerTransaction) {
    const pdus = cells.slice(at, at + pdusPerTransaction)
    const { status, body } = await peer.transaction(a.name, { pdus: pdus.map(({ text }) => text) })
    assert.equal(status, 200)
    const answers = body.pdus as Record<string, { error?: string }>
    for (const { name, fate, id, ids } of pdus) {
      if (fate === 'accepted' || fate === 'redacted') assert.deepEqual(answers[id], {}, name)
      // Whoever is named is told what is wrong.
      if (fate !== 'dropped') continue
      for (const one of ids.filter((named) => named in answers)) {
        assert.equal(typeof answers[one]?.error, 'string', name)
      }
    }
  }
  await world.settle()
  await assertFates(scene, 'send', cells)
  // Our users can go on, and others can read what was taken in.
  const said = await a.say(a.user('alice'), room.roomId, 'and on')
  await assertReadable(scene, room.roomId, said)
  return cells
}

export const federation = (version: string, operation: string, ...ids: string[]) =>
  ['/_matrix/federation', version, operation, ...ids.map(encodeURIComponent)].join('/')

/** A template of the server, for a user of the played one, as a draft. */
export async function template(
  { a, peer, version }: Scene,
  operation: string,
  roomId: RoomId,
  userId: UserId,
): Promise<RawEvent> {
  const query = operation === 'make_leave' ? '' : `?ver=${version.id}`
  const { status, body } = await peer.request(
    a.name,
    'GET',
    `${federation('v1', operation, roomId, userId)}${query}`,
  )
  assert.equal(status, 200, JSON.stringify(body))
  return { ...(body.event as JsonObject), origin_server_ts: peer.clock.now() }
}

const badRequests: ReadonlySet<unknown> = new Set([
  'M_INVALID_PARAM',
  'M_BAD_JSON',
  'M_NOT_JSON',
  'M_MISSING_PARAM',
])

/** Hands the events over one by one. What is not in order is refused with a 4xx that says so. */
async function handOver(
  { a, peer, version }: Scene,
  route: string,
  cells: readonly Cell[],
  {
    target,
    body = (text) => text,
    signs = false,
  }: {
    readonly target: (id: string) => string
    readonly body?: (text: string) => string
    /** Whether our signature is added, for which there must be room. */
    readonly signs?: boolean
  },
): Promise<Cell[]> {
  const fates: Cell[] = []
  for (const cell of cells) {
    const isTooFull = signs && cell.isFull
    // Who hands over a redacted membership can hand it over whole.
    const isAccepted = cell.fate === 'accepted' && !isTooFull
    const { status, body: answer } = await peer.request(
      a.name,
      'PUT',
      target(cell.id),
      body(cell.text),
    )
    const { errcode } = answer
    const label = `version ${version.id}, ${route}: ${cell.name}: ${status} ${errcode}`
    if (isAccepted) assert.equal(status, 200, label)
    else if (cell.fate === 'rejected') assert.ok(status === 403 || status === 400, label)
    else if (status === 413) assert.equal(errcode, 'M_TOO_LARGE', label)
    else assert.ok(status === 400 && badRequests.has(errcode), label)
    fates.push(
      isAccepted ? cell : { ...cell, fate: cell.fate === 'rejected' ? 'rejected' : 'dropped' },
    )
  }
  return fates
}

/** Where both versions of an operation are tried; the first one's handler differs in its answer only. */
const versionsInFull: ReadonlySet<string> = new Set(['1', '2', '6', '10', '11', '12'])

/** PUT /send_join of both versions, and /send_leave, in a room of ours. */
export async function byJoinAndLeave(scene: Scene): Promise<Cell[]> {
  const { a, peer, version, world } = scene
  const roomId = await a.createRoom(a.user('alice'), version)
  const all: Cell[] = []
  for (const api of versionsInFull.has(version.id) ? ['v1', 'v2'] : ['v2']) {
    const users: UserId[] = []
    const joiner = peer.user(`j${scene.count()}`)
    const joining = await template(scene, 'make_join', roomId, joiner)
    const joins = await cellsOf(
      scene,
      () => {
        const user = peer.user(`j${scene.count()}`)
        users.push(user)
        return { ...joining, sender: user, state_key: user }
      },
      { isForNewEvents: true },
    )
    const route = `send_join ${api}`
    const target = (operation: string) => (id: string) => federation(api, operation, roomId, id)
    const taken = await handOver(scene, route, joins, { target: target('send_join') })
    await world.settle(1000)
    await assertFates(scene, route, taken)
    const joined = users.filter((_, at) => taken[at]?.fate === 'accepted')
    const [last = assert.fail()] = joined.splice(-1)
    const leaves = await cellsOf(
      scene,
      // One user does all that must not end their membership.
      async (fate) =>
        await template(
          scene,
          'make_leave',
          roomId,
          fate === 'accepted' ? (joined.shift() ?? last) : last,
        ),
      { isForNewEvents: true },
    )
    const left = await handOver(scene, `send_leave ${api}`, leaves, {
      target: target('send_leave'),
    })
    await world.settle(1000)
    await assertFates(scene, `send_leave ${api}`, left)
    all.push(...joins, ...leaves)
  }
  const rejoin = await template(scene, 'make_join', roomId, peer.user('u'))
  const { text, id } = (await cellsOf(scene, () => rejoin)).at(-1) ?? assert.fail()
  const { status } = await peer.request(
    a.name,
    'PUT',
    federation('v2', 'send_join', roomId, id),
    text,
  )
  assert.equal(status, 200)
  await assertReadable(scene, roomId, id as EventId)
  return all
}

/** PUT /send_knock. */
export async function byKnock(scene: Scene): Promise<Cell[]> {
  const { a, peer, version, world } = scene
  const roomId = await a.createRoom(a.user('alice'), version, { joinRules: { join_rule: 'knock' } })
  const knocking = await template(scene, 'make_knock', roomId, peer.user('k'))
  const cells = await cellsOf(
    scene,
    () => {
      const user = peer.user(`k${scene.count()}`)
      return { ...knocking, sender: user, state_key: user }
    },
    { isForNewEvents: true },
  )
  const target = (id: string) => federation('v1', 'send_knock', roomId, id)
  const taken = await handOver(scene, 'send_knock', cells, { target })
  await world.settle(1000)
  await assertFates(scene, 'send_knock', taken)
  return cells
}

/** PUT /invite of both versions; the first is of rooms of versions 1 and 2. */
export async function byInvite(scene: Scene): Promise<Cell[]> {
  const { a, peer, version } = scene
  const apis = version.eventId === 'in-event' ? ['v1', 'v2'] : ['v2']
  const all: Cell[] = []
  for (const api of apis) {
    const room = peer.createRoom(version, { tag: `room${scene.count()}` })
    const create = room.state().filter(({ type }) => type === 'm.room.create')
    const invited = a.user('invited')
    const cells = await cellsOf(
      scene,
      () =>
        room.draft(
          peer.user('u'),
          'm.room.member',
          { membership: 'invite' },
          { stateKey: invited },
        ),
      { isForNewEvents: true },
    )
    const before = a.signed.length
    // Of a room that we are not in, nobody here can say what it allows.
    const judged = cells.filter(({ fate }) => fate !== 'rejected')
    const taken = await handOver(scene, `invite ${api}`, judged, {
      target: (id) => federation(api, 'invite', room.roomId, id),
      body: (text) =>
        api === 'v1'
          ? text
          : `{"event":${text},"invite_room_state":${listOf(create)},"room_version":"${version.id}"}`,
      signs: true,
    })
    // Our signature is under those that were taken, and under nothing else.
    const signed = a.signed.slice(before).filter((text) => !/"uri":|"verify_keys":/.test(text))
    const sound = taken.filter(({ fate }) => fate === 'accepted')
    assert.equal(signed.length, sound.length, `invite ${api}`)
    const membership = await a.rooms.membership(invited, room.roomId)
    assert.equal(membership?.eventId, sound.at(-1)?.id)
    const rest = taken.filter(({ fate }) => fate !== 'accepted')
    await assertFates(scene, `invite ${api}`, rest)
    all.push(...judged)
  }
  return all
}

/** What the server gives of a room afterwards, by every route: all of it there, and strict JSON. */
export async function assertReadable(
  { a, peer, version }: Scene,
  roomId: RoomId,
  event: EventId,
): Promise<void> {
  const id = encodeURIComponent(event)
  const targets: [string, string, string?][] = [
    ['GET', federation('v1', 'event', event)],
    ['GET', federation('v1', 'event_auth', roomId, event)],
    ['GET', `${federation('v1', 'state', roomId)}?event_id=${id}`],
    ['GET', `${federation('v1', 'state_ids', roomId)}?event_id=${id}`],
    ['GET', `${federation('v1', 'backfill', roomId)}?v=${id}&limit=100`],
    ['GET', `${federation('v1', 'timestamp_to_event', roomId)}?ts=0&dir=f`],
    [
      'POST',
      federation('v1', 'get_missing_events', roomId),
      JSON.stringify({ earliest_events: [], latest_events: [event], limit: 20 }),
    ],
    ['GET', `${federation('v1', 'make_join', roomId, peer.user('u'))}?ver=${version.id}`],
    ['GET', federation('v1', 'make_leave', roomId, peer.user('u'))],
  ]
  for (const [method, target, body] of targets) {
    const { status, text } = await peer.request(a.name, method, target, body)
    assert.equal(status, 200, `version ${version.id}: ${method} ${target}: ${text.slice(0, 200)}`)
    assertStrict(version, text, target)
  }
}

/** No halves of characters, no key twice, no number that JavaScript would round: to whom it goes. */
function assertStrict({ strictCanonicalJson }: RoomVersion, text: string, label: string): void {
  const read = readJson(Buffer.from(text), strictCanonicalJson ? 'canonical' : 'raw')
  assert.ok(read.ok, `${label}: ${read.ok ? '' : read.reason}`)
}
