/**
 * The routes by which events come in answers to what we ask about history, state and auth chains.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { parseEventIdIn } from '../../src/protocol/identifiers/event-id.ts'
import type { EventId } from '../../src/protocol/identifiers/ids.ts'
import type { JsonObject } from '../../src/protocol/json.ts'
import type { Pdu } from '../../src/protocol/pdu.ts'
import type { PeerRoom } from '../scripted-peer/peer-room.ts'
import { listOf, ok, refused } from '../scripted-peer/scripted-peer.ts'
import { assertFates, type Cell, cellsOf, eventIdsOf, type Scene, stateDraft } from './cells.ts'
import { assertReadable, joinedRoom } from './requests.ts'

/** Events that differ in nothing but what is wrong with them, at one place of the graph. */
const messageDraft =
  (scene: Scene, room: PeerRoom, after: readonly EventId[] = room.ends) =>
  () =>
    room.draft(scene.peer.user('u'), `c.${scene.count()}`, { body: 'x' }, { after })

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
