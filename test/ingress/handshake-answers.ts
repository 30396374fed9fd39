/**
 * The routes by which events come in answers to a join, a knock and an invite of ours, and with invites: the
 * room as who is outside is shown it.
 *
 * @module
 */

import assert from 'node:assert/strict'
import type { JsonObject } from '../../src/protocol/json.ts'
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
import { assertFates, type Cell, cellsOf, type Scene, stateDraft } from './cells.ts'
import { assertReadable } from './requests.ts'

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
