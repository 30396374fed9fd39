/**
 * Attacks by events: many, torn, without an end, and invites.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { quantile } from '../../bench/statistics.ts'
import { buildPdu } from '../../src/protocol/build-pdu.ts'
import type { EventId } from '../../src/protocol/identifiers/ids.ts'
import type { Pdu } from '../../src/protocol/pdu.ts'
import { roomVersions } from '../../src/protocol/room-version.ts'
import { idOf, sealed, textOf } from '../scripted-peer/forged-event.ts'
import type { PeerRoom } from '../scripted-peer/peer-room.ts'
import { listOf, ok, refused } from '../scripted-peer/scripted-peer.ts'
import { count, flood, pause, type Statuses } from './arena.ts'
import type { Attack, Scenario } from './scenario.ts'

const version = roomVersions.get('11') ?? assert.fail()

export const floodOfEvents: Scenario = {
  name: 'events',
  what: 'one server sends transactions of 50 valid events, 10 at a time',
  run: async ({ arena, attacker: { peer, ask }, room, durationMs }) => {
    const statuses: Statuses = new Map()
    const endMs = performance.now() + durationMs
    let sent = 0
    const send = async () => {
      while (performance.now() < endMs) {
        const pdus = Array.from({ length: 50 }, () =>
          room.add(room.draft(peer.user('u'), 'm.room.message', { body: 'x'.repeat(100) })),
        )
        sent += 1
        const body = `{"edus":[],"origin":"${peer.name}","origin_server_ts":1,"pdus":${listOf(pdus)}}`
        const target = `/_matrix/federation/v1/send/flood${sent}`
        const content = Buffer.from(body)
        const answer = await ask({ to: arena.name, method: 'PUT', target, content })
        count(statuses, answer.status)
      }
    }
    await Promise.all(Array.from({ length: 10 }, send))
    return statuses
  },
}

/** In how many rooms events are sent that lack one, and how large they are. */
const torn = { rooms: 20, bodyLength: 60_000 }

export const gaps: Scenario = {
  name: 'gaps',
  what: `events of 60 KB in ${torn.rooms} rooms, 50 at a time, which follow one that is never given`,
  run: async ({ arena, attacker: { peer, ask }, victim, durationMs }) => {
    const user = peer.user('u')
    const rooms: PeerRoom[] = []
    while (rooms.length < torn.rooms) {
      const room = peer.createRoom(version, { tag: `gaps${rooms.length}` })
      await victim.join(room.roomId, [peer.name])
      room.add(room.draft(user, 'm.room.message', { body: 'never given' }))
      rooms.push(room)
    }
    const asked = ['get_missing_events', 'event', 'event_auth', 'state_ids', 'state', 'backfill']
    // Whoever asks waits for nothing.
    for (const operation of asked) {
      peer.scripts.set(operation, () => pause(30_000).then(() => refused(404, 'M_NOT_FOUND')))
    }
    const statuses: Statuses = new Map()
    const endMs = performance.now() + durationMs
    for (let sent = 0; performance.now() < endMs; sent += 1) {
      const room = rooms[sent % rooms.length] ?? assert.fail()
      const pdus = Array.from({ length: 50 }, (_, at) => {
        const body = `${sent} ${at} ${'x'.repeat(torn.bodyLength)}`
        return textOf(sealed(version, room.draft(user, 'm.room.message', { body }), peer.signer))
      })
      const body = `{"edus":[],"origin":"${peer.name}","origin_server_ts":1,"pdus":[${pdus}]}`
      const target = `/_matrix/federation/v1/send/gaps${sent}`
      const content = Buffer.from(body)
      count(statuses, (await ask({ to: arena.name, method: 'PUT', target, content })).status)
    }
    peer.scripts.clear()
    return statuses
  },
}

export const forks: Scenario = {
  name: 'forks',
  what: 'one room after the other is torn into 1,000 ends',
  run: async ({ arena, attacker: { peer }, victim, durationMs }) => {
    const statuses: Statuses = new Map()
    const spokenMs: number[] = []
    const endMs = performance.now() + durationMs
    while (performance.now() < endMs) {
      const room = peer.createRoom(version, { tag: `torn${spokenMs.length}` })
      await victim.join(room.roomId, [peer.name])
      const [end = assert.fail()] = room.ends
      for (let batch = 0; batch < 20; batch += 1) {
        const pdus = Array.from({ length: 50 }, (_, at) => {
          const content = { topic: `fork ${batch} ${at}` }
          const place = { stateKey: '', after: [end] }
          return room.addUnplaced(room.draft(peer.user('u'), 'm.room.topic', content, place), [end])
        })
        const { status } = await peer.transaction(arena.name, { pdus })
        count(statuses, status)
      }
      const startMs = performance.now()
      await victim.send(room.roomId, 'spoken in the torn room')
      spokenMs.push(performance.now() - startMs)
    }
    count(statuses, 'rooms', spokenMs.length)
    count(statuses, 'ms until spoken, median', Math.round(quantile(spokenMs, 0.5)))
    return statuses
  },
}

/** Events of `rooms` rooms whose auth chain has no end, each with so much to carry. */
async function endlessChains(
  { arena, attacker: { peer }, victim, durationMs }: Attack,
  { rooms, padding }: { readonly rooms: number; readonly padding: number },
): Promise<Statuses> {
  const old = roomVersions.get('2') ?? assert.fail()
  const created: PeerRoom[] = []
  while (created.length < rooms) {
    const tag = `chains${created.length}.${Math.round(performance.now())}`
    const room = peer.createRoom(old, { tag })
    await victim.join(room.roomId, [peer.name])
    created.push(room)
  }
  let named = 0
  let asked = 0
  const user = peer.user('endless')
  const content = { membership: 'join', padding: 'x'.repeat(padding) }
  /** The ID says of which room it is. */
  const newId = (at: number) => `$${at}.${named++}:${peer.name}` as EventId
  const endless = (eventId: EventId): Pdu => {
    const at = Number(/^\$(\d+)\./.exec(eventId)?.[1] ?? 0)
    const room = created[at] ?? assert.fail()
    const auth = Array.from({ length: 10 }, () => ({
      event_id: newId(at),
      sha256: 'A'.repeat(43),
    }))
    const built = buildPdu(
      old,
      {
        event_id: eventId,
        room_id: room.roomId,
        type: 'm.room.member',
        sender: user,
        state_key: user,
        content,
        depth: 3,
        origin_server_ts: 1,
        prev_events: [],
        auth_events: auth,
      },
      peer.signer,
    )
    assert.ok(built.ok)
    return built.pdu
  }
  peer.scripts.set('event', ({ params: [eventId = ''] }) => {
    if (created.some((room) => room.event(eventId) !== undefined)) return undefined
    asked += 1
    return ok(`{"origin":"o","origin_server_ts":1,"pdus":${listOf([endless(eventId as EventId)])}}`)
  })
  peer.scripts.set('event_auth', ({ params: [roomId] }) => {
    const at = created.findIndex((room) => room.roomId === roomId)
    return ok(`{"auth_chain":${listOf([endless(newId(at))])}}`)
  })
  const statuses: Statuses = new Map()
  const endMs = performance.now() + durationMs
  for (let at = 0; performance.now() < endMs; at = (at + 1) % rooms) {
    const pdus = Array.from({ length: 5 }, () => endless(newId(at)))
    count(statuses, (await peer.transaction(arena.name, { pdus })).status)
    await pause(500)
  }
  peer.scripts.clear()
  count(statuses, `asked for ${asked} events`)
  return statuses
}

export const authChains: Scenario = {
  name: 'auth chains',
  what: 'events whose auth chain has no end: each answer names ten more events',
  run: (attack) => endlessChains(attack, { rooms: 1, padding: 0 }),
}

export const largeChains: Scenario = {
  name: 'large chains',
  what: 'the same in 20 rooms at once, with 40 KB in each event',
  run: (attack) => endlessChains(attack, { rooms: 20, padding: 40_000 }),
}

export const invites: Scenario = {
  name: 'invites',
  what: 'one server invites a user, 20 invites at a time',
  run: ({ arena, attacker: { peer, ask }, victim, durationMs }) =>
    flood(durationMs, 20, (at) => {
      const inviter = peer.user(`u${at % 50}`)
      const room = peer.createRoom(version, { tag: `i${at}`, creator: inviter })
      const content = { membership: 'invite' }
      const draft = room.draft(inviter, 'm.room.member', content, { stateKey: victim.userId })
      const event = sealed(version, draft, peer.signer)
      peer.rooms.delete(room.roomId)
      const ids = [room.roomId, idOf(version, event)].map(encodeURIComponent).join('/')
      const body = `{"event":${textOf(event)},"invite_room_state":[],"room_version":"11"}`
      const target = `/_matrix/federation/v2/invite/${ids}`
      return ask({ to: arena.name, method: 'PUT', target, content: Buffer.from(body) })
    }),
}
