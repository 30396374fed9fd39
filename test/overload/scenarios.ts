/**
 * The attacks, each by itself: what is done, for so long, and which answers came.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { crc32, deflateSync, gzipSync } from 'node:zlib'
import { quantile } from '../../bench/statistics.ts'
import { buildPdu } from '../../src/protocol/build-pdu.ts'
import type { EventId } from '../../src/protocol/identifiers/ids.ts'
import type { Pdu } from '../../src/protocol/pdu.ts'
import { roomVersions } from '../../src/protocol/room-version.ts'
import type { Client } from '../rig/client.ts'
import { idOf, sealed, textOf } from '../scripted-peer/forged-event.ts'
import type { PeerRoom } from '../scripted-peer/peer-room.ts'
import { listOf, ok, refused } from '../scripted-peer/scripted-peer.ts'
import { type Arena, count, flood, pause, type Statuses } from './arena.ts'
import type { PlayedServer } from './played-server.ts'

const version = roomVersions.get('11') ?? assert.fail()

export interface Attack {
  readonly arena: Arena
  readonly attacker: PlayedServer
  /** A user who is in the attacker's room. */
  readonly victim: Client
  readonly room: PeerRoom
  readonly durationMs: number
}

export interface Scenario {
  readonly name: string
  readonly what: string
  readonly run: (attack: Attack) => Promise<Statuses>
  /** Whether it is the same whatever is answered, so that it can be compared with the floor. */
  readonly isOpen?: true
}

/** How many requests the flood has under way at the same time. */
const parallel = 50

const floodOfQuestions: Scenario = {
  name: 'questions',
  what: 'one server asks for profiles, keys, joins and history, 50 requests at a time',
  run: ({ arena, attacker: { peer, ask }, victim, room, durationMs }) => {
    const id = encodeURIComponent(victim.userId)
    const roomId = encodeURIComponent(room.roomId)
    const path = '/_matrix/federation/v1'
    const keys = Buffer.from(JSON.stringify({ device_keys: { [victim.userId]: [] } }))
    const asked = [
      { method: 'GET', target: `${path}/query/profile?user_id=${id}` },
      { method: 'POST', target: `${path}/user/keys/query`, content: keys },
      { method: 'GET', target: `${path}/make_join/${roomId}/${peer.user('u')}?ver=11` },
      { method: 'GET', target: `${path}/backfill/${roomId}?v=${room.ends[0]}&limit=100` },
      { method: 'GET', target: `${path}/publicRooms` },
    ]
    return flood(durationMs, parallel, (at) =>
      ask({ to: arena.name, ...(asked[at % asked.length] ?? assert.fail()) }),
    )
  },
}

const floodOfEvents: Scenario = {
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

const gaps: Scenario = {
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

const forks: Scenario = {
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

const authChains: Scenario = {
  name: 'auth chains',
  what: 'events whose auth chain has no end: each answer names ten more events',
  run: (attack) => endlessChains(attack, { rooms: 1, padding: 0 }),
}

const largeChains: Scenario = {
  name: 'large chains',
  what: 'the same in 20 rooms at once, with 40 KB in each event',
  run: (attack) => endlessChains(attack, { rooms: 20, padding: 40_000 }),
}

const invites: Scenario = {
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

/** How many handshakes are begun each second, and how long each connection is kept. */
const handshakes = { everyMs: 5, keptMs: 500 }

const floodOfHandshakes: Scenario = {
  name: 'handshakes',
  what: 'ten addresses make 200 TLS connections a second, with a request each',
  isOpen: true,
  run: async ({ arena, durationMs }) => {
    const statuses: Statuses = new Map()
    const port = arena.server.tlsPort
    const host = arena.name.slice(0, arena.name.lastIndexOf(':'))
    const startMs = performance.now()
    const request = `GET /_matrix/federation/v1/version HTTP/1.1\r\nhost: ${arena.name}\r\n\r\n`
    const begin = (at: number) => {
      const socket = connectTcp({ host, port, localAddress: `127.0.1.${1 + (at % 10)}` })
      socket.on('error', () => {})
      const secure = connectTls({ socket, rejectUnauthorized: false })
      secure.on('error', () => count(statuses, 'failed'))
      secure.once('secureConnect', () => secure.write(request))
      secure.once('data', (head) => count(statuses, head.toString('latin1', 9, 12)))
      setTimeout(() => secure.destroy(), handshakes.keptMs)
    }
    for (let at = 0; performance.now() - startMs < durationMs; at += 1) {
      begin(at)
      await pause(Math.max(0, startMs + at * handshakes.everyMs - performance.now()))
    }
    return statuses
  },
}

const slowClients: Scenario = {
  name: 'slow clients',
  isOpen: true,
  what: '5,000 connections from ten addresses send a byte of a head each second, and 100 more are tried from one',
  run: async ({ arena, durationMs }) => {
    const statuses: Statuses = new Map()
    const port = arena.server.tlsPort
    const host = arena.name.slice(0, arena.name.lastIndexOf(':'))
    const open = new Set<Socket>()
    const start = (localAddress: string) => {
      const socket = connectTcp({ host, port, localAddress })
      socket.on('error', () => {})
      socket.once('close', () => open.delete(socket))
      socket.once('connect', () => {
        open.add(socket)
        const secure = connectTls({ socket, rejectUnauthorized: false })
        secure.on('error', () => {})
        secure.once('secureConnect', () => secure.write('GET / HTTP/1.1\r\nx'))
        const timer = setInterval(() => secure.write('x'), 1000)
        secure.once('close', () => clearInterval(timer))
      })
      return socket
    }
    const endMs = performance.now() + durationMs
    for (let at = 0; at < 5000; at += 1) {
      start(`127.0.1.${1 + (at % 10)}`)
      if (at % 50 === 49) await pause(20)
    }
    await pause(1000)
    count(statuses, 'open', open.size)
    const before = open.size
    for (let at = 0; at < 100; at += 1) start('127.0.1.1')
    await pause(Math.max(1000, endMs - performance.now()))
    count(
      statuses,
      'more than before when 100 were tried from one address',
      Math.max(0, open.size - before),
    )
    // What it costs that all of them end belongs to it.
    for (const socket of open) socket.destroy()
    await pause(2000)
    return statuses
  },
}

const parts: Scenario = {
  name: 'media',
  what: 'media of a million part headers, and pressed to a thousandth',
  run: async ({ attacker: { peer }, victim, durationMs }) => {
    const bomb = `--x\r\nContent-Type: application/json\r\n\r\n{}\r\n--x\r\n${'a: b\r\n'.repeat(1_000_000)}\r\nx\r\n--x--`
    const type = 'multipart/mixed; boundary=x'
    const pressed = gzipSync(Buffer.alloc(10_000_000)).toString('latin1')
    const headers = { 'content-type': type }
    peer.scripts.set('media/download', ({ params: [mediaId = ''] }) =>
      mediaId.startsWith('p')
        ? { status: 200, text: pressed, headers: { ...headers, 'content-encoding': 'gzip' } }
        : { status: 200, text: bomb, headers },
    )
    const statuses = await flood(durationMs, 10, async (at) => {
      const url = `${victim.baseUrl}/_matrix/client/v1/media/download/${peer.name}/${at % 2 ? 'p' : 'm'}${at}`
      const answer = await fetch(url, { headers: { authorization: `Bearer ${victim.token}` } })
      await answer.arrayBuffer()
      return { status: answer.status }
    })
    peer.scripts.clear()
    return statuses
  },
}

const pressedRequests: Scenario = {
  name: 'gzip',
  what: 'transactions of 10 GB pressed to 10 MB, five at a time',
  run: ({ arena, attacker: { ask }, durationMs }) => {
    // A press over the press of zeros is as good as ten times as many.
    const content = gzipSync(gzipSync(Buffer.alloc(1_000_000_000), { level: 1 }), { level: 0 })
    return flood(durationMs, 5, (at) =>
      ask({
        to: arena.name,
        method: 'PUT',
        target: `/_matrix/federation/v1/send/gzip${at}`,
        content,
      }),
    )
  },
}

/** A PNG that says to have so many pixels, and has none to speak of. */
function png(width: number, height: number): Buffer {
  const chunk = (name: string, data: Buffer) => {
    const body = Buffer.concat([Buffer.from(name), data])
    const frame = Buffer.alloc(8)
    frame.writeUInt32BE(data.length, 0)
    frame.writeUInt32BE(crc32(body), 4)
    return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)])
  }
  const head = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 8, 2, 0, 0, 0])
  head.writeUInt32BE(width, 0)
  head.writeUInt32BE(height, 4)
  return Buffer.concat([
    Buffer.from('89504e470d0a1a0a', 'hex'),
    chunk('IHDR', head),
    chunk('IDAT', deflateSync(Buffer.alloc(30_000_000))),
    chunk('IEND', Buffer.alloc(0)),
  ])
}

const images: Scenario = {
  name: 'images',
  what: 'thumbnails of pictures of 65,535 × 65,535 and 3,000 × 3,000 pixels in 30 KB, ten at a time',
  run: async ({ victim, durationMs }) => {
    const headers = { authorization: `Bearer ${victim.token}`, 'content-type': 'image/png' }
    const media: string[] = []
    for (const body of [png(65_535, 65_535), png(3000, 3000)]) {
      const url = `${victim.baseUrl}/_matrix/media/v3/upload`
      const answer = await fetch(url, { method: 'POST', headers, body: new Uint8Array(body) })
      const { content_uri } = (await answer.json()) as { content_uri: string }
      media.push(content_uri.slice('mxc://'.length))
    }
    return await flood(durationMs, 10, async (at) => {
      const size = 10 + (at % 700)
      const path = `thumbnail/${media[at % 2]}?width=${size}&height=${size}&method=crop`
      const answer = await fetch(`${victim.baseUrl}/_matrix/client/v1/media/${path}`, { headers })
      await answer.arrayBuffer()
      return { status: answer.status }
    })
  },
}

export const scenarios: readonly Scenario[] = [
  { name: 'nothing', what: 'the honest traffic alone', run: quiet, isOpen: true },
  floodOfQuestions,
  floodOfEvents,
  slowClients,
  floodOfHandshakes,
  forks,
  authChains,
  largeChains,
  gaps,
  invites,
  parts,
  pressedRequests,
  images,
]

async function quiet({ durationMs }: Attack): Promise<Statuses> {
  await pause(durationMs)
  return new Map()
}
