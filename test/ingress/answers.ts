/**
 * The routes by which events come in answers: to a join, a knock and an invite of ours, and to what we
 * ask about history, state and auth chains.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { parseEventIdIn } from '../../src/protocol/identifiers/event-id.ts'
import type { EventId } from '../../src/protocol/identifiers/ids.ts'
import type { JsonObject } from '../../src/protocol/json.ts'
import type { Pdu } from '../../src/protocol/pdu.ts'
import {
  essentialsOf,
  hashed,
  idOf,
  type RawEvent,
  signed,
  textOf,
} from '../scripted-peer/forged-event.ts'
import type { PeerRoom } from '../scripted-peer/peer-room.ts'
import { listOf, ok, refused } from '../scripted-peer/scripted-peer.ts'
import { assertFates, type Cell, cellsOf, eventIdsOf, type Scene } from './cells.ts'
import { assertReadable, joinedRoom } from './requests.ts'

/** A state event of the room, of a type of its own. */
const stateDraft = (scene: Scene, room: PeerRoom) => () =>
  room.draft(scene.peer.user('u'), `c.${scene.count()}`, {}, { stateKey: '' })

/** Events that differ in nothing but what is wrong with them, at one place of the graph. */
const messageDraft =
  (scene: Scene, room: PeerRoom, after: readonly EventId[] = room.ends) =>
  () =>
    room.draft(scene.peer.user('u'), `c.${scene.count()}`, { body: 'x' }, { after })

/** The lists of the answer to /send_join. */
export async function byJoinAnswer(scene: Scene): Promise<Cell[]> {
  const { a, peer, version } = scene
  const all: Cell[] = []
  for (const list of ['state', 'auth_chain'] as const) {
    const room = peer.createRoom(version, { tag: `room${scene.count()}` })
    const cells = await cellsOf(scene, stateDraft(scene, room))
    peer.scripts.set('send_join', ({ body }, honest) => {
      const { event, ...lists } = JSON.parse(honest().text) as Record<string, readonly JsonObject[]>
      const texts = (name: string) => [
        ...(lists[name] ?? []).map(textOf),
        ...(name === list ? cells.map(({ text }) => text) : []),
      ]
      assert.ok(event, Buffer.from(body).toString())
      return ok(
        `{"auth_chain":${listOf(texts('auth_chain'))},"event":${textOf(event)},"state":${listOf(texts('state'))}}`,
      )
    })
    const joined = await a.join(a.user('alice'), room.roomId, [peer as never])
    peer.scripts.delete('send_join')
    await assertFates(scene, `send_join ${list}`, cells, { status: 'outlier' })
    if (list === 'state') {
      const state = await a.stateOf(room.roomId)
      for (const { id, fate, name } of cells) {
        // The state is what the resident says it is, as far as the auth rules allow.
        if (name === 'prev_events: none') continue
        const isThere = state.some((line) => line.endsWith(` ${id}`))
        assert.equal(isThere, fate === 'accepted' || fate === 'redacted', name)
      }
    }
    await assertReadable(scene, room.roomId, joined)
    all.push(...cells)
  }
  return all
}

/** Our join as it comes back signed, where a user of the other server authorised it. */
export async function byJoinEvent(scene: Scene): Promise<Cell[]> {
  const { a, peer, version } = scene
  const alice = a.user('alice')
  const room = peer.createRoom(version, {
    tag: `room${scene.count()}`,
    joinRules: { join_rule: 'restricted', allow: [] },
  })
  const { ends } = room
  const cells = await cellsOf(scene, () =>
    room.draft(alice, 'm.room.member', { membership: 'join' }, { stateKey: alice, after: ends }),
  )
  const sent = { text: '' }
  const earlier: string[] = []
  const state = room.state()
  const lists = `"auth_chain":${listOf(room.authChain(state))},"state":${listOf(state)}`
  peer.scripts.set('send_join', ({ body }) => {
    earlier.push(textOf(withTheirs(scene, body)))
    const given = sent.text === '' ? textOf(withTheirs(scene, body)) : sent.text
    return ok(`{"event":${given},${lists}}`)
  })
  const attempts = [...cells, { name: 'an earlier one of ours', text: '' }]
  for (const { name, text } of attempts) {
    // Signed by both, but not what we made this time.
    sent.text = text === '' ? (earlier[0] ?? assert.fail()) : text
    const joining = a.join(alice, room.roomId, [peer as never])
    await assert.rejects(joining, { status: 502 }, `version ${version.id}: ${name}`)
  }
  assert.equal(await a.rooms.version(room.roomId), undefined)
  // None of them is the event that we made.
  const none = cells.map((cell) => ({ ...cell, fate: 'dropped' as const }))
  await assertFates(scene, 'send_join event', none)
  sent.text = ''
  const joined = await a.join(alice, room.roomId, [peer as never])
  peer.scripts.delete('send_join')
  await assertReadable(scene, room.roomId, joined)
  return cells
}

function withTheirs({ peer, version }: Scene, event: Uint8Array): RawEvent {
  const ours = JSON.parse(Buffer.from(event).toString()) as RawEvent
  return signed(ours, peer.signer, essentialsOf(version, ours))
}

/** Our invite as the other server gives it back. */
export async function byInviteAnswer(scene: Scene): Promise<Cell[]> {
  const { a, peer, version, world } = scene
  const [alice, target] = [a.user('alice'), peer.user('invited')]
  const roomId = await a.createRoom(alice, version)
  const before = await a.stateOf(roomId)
  const invite = () => world.await(a.rooms.invite({ sender: alice, target, roomId, content: {} }))
  const ours = { event: {} as RawEvent, signed: '' }
  peer.scripts.set('invite', ({ body }, honest) => {
    ours.event = (JSON.parse(Buffer.from(body).toString()) as { event: RawEvent }).event
    ours.signed = honest().text
    return refused(500, 'M_UNKNOWN')
  })
  await assert.rejects(invite())
  // Signed by both, but not what we made this time.
  peer.scripts.set('invite', () => ok(ours.signed))
  await world.settle(10)
  await assert.rejects(invite(), { status: 502 })
  const { signatures: _signatures, hashes: _hashes, ...draft } = ours.event
  const cells = await cellsOf(scene, () => draft)
  for (const { name, text } of cells) {
    peer.scripts.set('invite', () => ok(`{"event":${text}}`))
    await assert.rejects(invite(), { status: 502 }, `version ${version.id}: ${name}`)
  }
  peer.scripts.delete('invite')
  assert.deepEqual(await a.stateOf(roomId), before)
  const none = cells.map((cell) => ({ ...cell, fate: 'dropped' as const }))
  await assertFates(scene, 'invite answer', none)
  await invite()
  assert.equal(await a.membershipIn(roomId, target), 'invite')
  return cells
}

/** What is as large as an event can be is more than is kept of such a state. */
const kept = (cells: readonly Cell[]) => cells.filter(({ isFull }) => !isFull)

/** The state by which a room is shown to who is outside: given with knocks and invites. */
export async function byStrippedState(scene: Scene): Promise<Cell[]> {
  const { a, peer, version, world } = scene
  const knocker = a.user('knocker')
  const all: Cell[] = []
  if (version.knocking) {
    const room = peer.createRoom(version, {
      tag: `room${scene.count()}`,
      joinRules: { join_rule: 'knock' },
    })
    const cells = kept(await cellsOf(scene, stateDraft(scene, room)))
    const texts = cells.map(({ text }) => text)
    // What is beyond a hundred is not looked at.
    for (let at = 0; at < texts.length; at += 100) {
      const some = cells.slice(at, at + 100)
      peer.scripts.set('send_knock', () =>
        ok(`{"knock_room_state":${listOf(texts.slice(at, at + 100))}}`),
      )
      const via = [peer.name]
      await world.await(a.rooms.knock({ userId: knocker, roomId: room.roomId, via, content: {} }))
      await assertStripped(scene, 'knock_room_state', { userId: knocker, room, cells: some })
    }
    all.push(...cells)
  }
  const room = peer.createRoom(version, { tag: `room${scene.count()}` })
  const cells = kept(await cellsOf(scene, stateDraft(scene, room)))
  for (const group of version.roomIdIsCreateEventId ? cells.map((cell) => [cell]) : halves(cells)) {
    await inviteWith(scene, room, group)
  }
  return [...all, ...cells]
}

function halves(cells: readonly Cell[]): Cell[][] {
  return [cells.slice(0, 90), cells.slice(90)]
}

/** One invite with these in its state. Since version 12 it is refused if one of them is not in order. */
async function inviteWith(scene: Scene, room: PeerRoom, cells: readonly Cell[]): Promise<void> {
  const { a, peer, version } = scene
  const userId = a.user(`invited${scene.count()}`)
  const [create = assert.fail()] = room.state()
  const content = { membership: 'invite' }
  const draft = room.draft(peer.user('u'), 'm.room.member', content, { stateKey: userId })
  const withId =
    version.eventId === 'in-event'
      ? { ...draft, event_id: `$${scene.count()}:${peer.name}` }
      : draft
  const event = withTheirs(scene, Buffer.from(textOf(hashed(withId))))
  const id = idOf(version, event)
  const state = listOf([create, ...cells.map(({ text }) => text)])
  const body = `{"event":${textOf(event)},"invite_room_state":${state},"room_version":"${version.id}"}`
  const target = ['/_matrix/federation/v2/invite', room.roomId, id].map((part, at) =>
    at === 0 ? part : encodeURIComponent(part),
  )
  const { status, body: answer } = await peer.request(a.name, 'PUT', target.join('/'), body)
  const label = `version ${version.id}, invite_room_state: ${cells.map(({ name }) => name)}`
  const isRefused =
    version.roomIdIsCreateEventId &&
    cells.some(({ fate, text }) => fate === 'dropped' && isWhole(text))
  assert.equal(status, isRefused ? 400 : 200, `${label} ${JSON.stringify(answer)}`)
  if (!isRefused) await assertStripped(scene, 'invite_room_state', { userId, room, cells })
  else assert.equal(await a.rooms.membership(userId, room.roomId), undefined, label)
}

/** Entries that do not look like whole events are taken for stripped ones, which nobody signs. */
function isWhole(text: string): boolean {
  const event = JSON.parse(text) as RawEvent
  return event.signatures !== undefined && event.auth_events !== undefined
}

async function assertStripped(
  { a, version }: Scene,
  route: string,
  {
    userId,
    room,
    cells,
  }: { readonly userId: `@${string}`; readonly room: PeerRoom; readonly cells: readonly Cell[] },
): Promise<void> {
  const membership = await a.rooms.membership(userId as never, room.roomId)
  const kept = JSON.stringify(membership?.strippedState)
  for (const { name, fate, canary, text } of cells) {
    if (!isWhole(text) || fate === 'rejected') continue
    const label = `version ${version.id}, ${route}: ${name}`
    assert.equal(kept.includes(canary), fate === 'accepted', label)
  }
  assert.deepEqual(a.errors, [], route)
}

/** GET /backfill: events from before our join. */
export async function byBackfill(scene: Scene): Promise<Cell[]> {
  const { a, peer, version, world } = scene
  const room = peer.createRoom(version, { tag: `room${scene.count()}` })
  const root = room.ends
  const cells = await cellsOf(scene, messageDraft(scene, room, root))
  // Each is named by an event that is in order: what nothing leads to would not be looked at.
  const children = childrenOf(scene, room, cells, root)
  const joiner = room.add(
    room.draft(peer.user('u'), 'm.room.topic', { topic: 'x' }, { stateKey: '', after: root }),
  )
  room.ends = [joiner.event_id, ...children.map(({ event_id }) => event_id)]
  const joined = await a.join(a.user('alice'), room.roomId, [peer as never])
  peer.scripts.set('backfill', ({ query }, honest) => {
    if (!query.getAll('v').includes(children[0]?.event_id ?? '')) return honest()
    const texts = [...room.before(room.ends, 1000), ...cells.map(({ text }) => text)]
    return ok(`{"origin":"o","origin_server_ts":1,"pdus":${listOf(texts)}}`)
  })
  const end = { stream: Number.MAX_SAFE_INTEGER, sub: 0 }
  for (let tries = 0; tries < 2; tries += 1) {
    await world.await(a.rooms.fillHistory(room.roomId, end, 100))
  }
  peer.scripts.delete('backfill')
  await assertFates(scene, 'backfill', cells)
  await assertAccepted(scene, children)
  await assertReadable(scene, room.roomId, joined)
  return cells
}

/** Events in order, each of which follows up to so many of the cells. */
const parentsPerChild = 18

function childrenOf(
  { peer, version }: Scene,
  room: PeerRoom,
  cells: readonly Cell[],
  root: readonly EventId[],
): Pdu[] {
  const children: Pdu[] = []
  for (let at = 0; at < cells.length; at += parentsPerChild) {
    const ids = cells.slice(at, at + parentsPerChild).map(({ id }) => id)
    // An event with a malformed ID can be named by none that is in order.
    const parents = ids.filter((id) => parseEventIdIn(version, id) !== undefined)
    const draft = room.draft(peer.user('u'), 'm.child', { at }, { after: root })
    const named = parents.map((id) =>
      version.referencesHaveHashes ? [id, { sha256: 'A'.repeat(43) }] : id,
    )
    children.push(room.addUnplaced({ ...draft, depth: 100, prev_events: named }, root))
  }
  return children
}

/** POST /get_missing_events: what an event follows and we lack. */
export async function byMissingEvents(scene: Scene): Promise<Cell[]> {
  const { a, peer, world } = scene
  const room = await joinedRoom(scene)
  const root = room.ends
  const cells = await cellsOf(scene, messageDraft(scene, room))
  const children = childrenOf(scene, room, cells, root)
  peer.scripts.set('get_missing_events', () =>
    ok(`{"events":${listOf(cells.map(({ text }) => text))}}`),
  )
  // What they lack is to come by one route only.
  peer.scripts.set('event', () => refused(404, 'M_NOT_FOUND'))
  await peer.transaction(a.name, { pdus: children })
  await world.settle(5000)
  for (const name of ['get_missing_events', 'event']) peer.scripts.delete(name)
  await assertFates(scene, 'get_missing_events', cells)
  await assertStillWorks(scene, room, eventIdsOf(cells, 'accepted'))
  return cells
}

/** GET /event: the same, one by one. */
export async function byEvent(scene: Scene): Promise<Cell[]> {
  const { a, peer, world } = scene
  const room = await joinedRoom(scene)
  const root = room.ends
  const cells = await cellsOf(scene, messageDraft(scene, room))
  const children = childrenOf(scene, room, cells, root)
  const texts = new Map(cells.map(({ id, text }) => [id, text]))
  peer.scripts.set('get_missing_events', () => ok('{"events":[]}'))
  peer.scripts.set('event', ({ params: [id = ''] }) => {
    const text = texts.get(id)
    if (text === undefined) return undefined
    return ok(`{"origin":"o","origin_server_ts":1,"pdus":[${text}]}`)
  })
  await peer.transaction(a.name, { pdus: children })
  await world.settle(5000)
  for (const name of ['get_missing_events', 'event']) peer.scripts.delete(name)
  await assertFates(scene, 'event', cells)
  await assertStillWorks(scene, room, eventIdsOf(cells, 'accepted'))
  return cells
}

/** GET /state: the state before an event whose past cannot be had. */
export async function byState(scene: Scene): Promise<Cell[]> {
  const { a, peer, version, world } = scene
  const room = await joinedRoom(scene)
  const root = room.ends
  const cells = await cellsOf(scene, stateDraft(scene, room))
  const state = room.state()
  const chain = room.authChain(state)
  const sound = cells.filter(({ fate }) => fate === 'accepted')
  const lost = room.draft(peer.user('u'), 'm.lost', {}, { after: root })
  const parent = room.addUnplaced(
    { ...lost, prev_events: [someReference(scene)], depth: 200 },
    root,
  )
  const child = room.add(room.draft(peer.user('u'), 'm.child', {}, { after: [parent.event_id] }))
  const ids = (pdus: readonly Pdu[]) => pdus.map(({ event_id }) => event_id)
  peer.scripts.set('state_ids', () =>
    ok({
      auth_chain_ids: [...ids(chain), ...cells.map(({ id }) => id)].filter(
        (id) => parseEventIdIn(version, id) !== undefined,
      ),
      pdu_ids: [...ids(state), ...sound.map(({ id }) => id)],
    }),
  )
  peer.scripts.set('get_missing_events', () => ok('{"events":[]}'))
  const half = cells.length / 2
  const texts = cells.map(({ text }) => text)
  peer.scripts.set('state', () =>
    ok(
      `{"auth_chain":${listOf(texts.slice(0, half))},"pdus":${listOf([...state, ...texts.slice(half)])}}`,
    ),
  )
  await peer.transaction(a.name, { pdus: [child] })
  await world.settle(5000)
  for (const name of ['state_ids', 'state', 'get_missing_events']) peer.scripts.delete(name)
  assert.ok(peer.asked.some(({ operation }) => operation === 'state'))
  await assertFates(scene, 'state', cells, { status: 'outlier' })
  await assertAccepted(scene, [parent, child])
  return cells
}

/** GET /event_auth: what an event's auth events rest on. */
export async function byEventAuth(scene: Scene): Promise<Cell[]> {
  const { a, peer, version, world } = scene
  const room = await joinedRoom(scene)
  const cells = await cellsOf(scene, stateDraft(scene, room))
  const unknown = room.draft(peer.user('u'), 'm.room.power_levels', levelsOf(room), {
    stateKey: '',
  })
  const levels = room.addUnplaced(unknown, room.ends)
  const draft = room.draft(peer.user('u'), 'm.child', {})
  const auth = (draft.auth_events as unknown[]).slice(0, version.roomIdIsCreateEventId ? 0 : 1)
  const member = room.state().find(({ type }) => type === 'm.room.member') ?? assert.fail()
  const child = room.addUnplaced(
    { ...draft, auth_events: [...auth, room.reference(member), room.reference(levels)] },
    room.ends,
  )
  const texts = [...cells.map(({ text }) => text), levels]
  peer.scripts.set('event_auth', () => ok(`{"auth_chain":${listOf(texts)}}`))
  await peer.transaction(a.name, { pdus: [child] })
  await world.settle(5000)
  peer.scripts.delete('event_auth')
  assert.ok(peer.asked.some(({ operation }) => operation === 'event_auth'))
  await assertFates(scene, 'event_auth', cells, { status: 'outlier' })
  await assertAccepted(scene, [child])
  return cells
}

function levelsOf(room: PeerRoom): JsonObject {
  const levels = room.state().find(({ type }) => type === 'm.room.power_levels')
  return { ...levels?.content, users_default: 1 }
}

function someReference({ version }: Scene): unknown {
  const id = version.eventId === 'in-event' ? '$lost:p.test:8448' : `$${'L'.repeat(43)}`
  return version.referencesHaveHashes ? [id, { sha256: 'A'.repeat(43) }] : id
}

async function assertAccepted({ a, version }: Scene, events: readonly Pdu[]): Promise<void> {
  for (const { room_id, event_id, type } of events) {
    const stored = await a.rooms.event(room_id, event_id)
    assert.equal(stored?.status, 'accepted', `version ${version.id}: ${type}`)
  }
}

/** Our users can go on in the room, and others can read it. */
async function assertStillWorks(
  scene: Scene,
  room: PeerRoom,
  [one]: readonly EventId[],
): Promise<void> {
  const { a } = scene
  const said = await a.say(a.user('alice'), room.roomId, 'and on')
  for (const eventId of [said, ...(one === undefined ? [] : [one])]) {
    await assertReadable(scene, room.roomId, eventId)
  }
}
