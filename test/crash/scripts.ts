/**
 * Short things that users and a server do with one Hansa, each of its own kind, while it dies or fails at a
 * call to the kernel; and what must be true of each afterwards. What is not answered is asked for again.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { signEdus, signTransactions } from '../../bench/peer/transactions.ts'
import { openSqlite } from '../../src/storage/sqlite.ts'
import { allRoomRows, namedFiles, waitingCounts } from '../../src/storage/store-check.ts'
import { ApiError, type Client, type ClientEvent, eventually, type Json } from '../rig/client.ts'
import { type StageParts, version } from './stage.ts'
import { again, ask, call, download, registered, say, upload } from './workload.ts'

const encode = encodeURIComponent

/** What is done once, and looked at afterwards. */
export interface Scene {
  act(): Promise<void>
  /** Throws unless all is as if nothing had happened. */
  check(): Promise<void>
}

export interface Script {
  readonly name: string
  /** Does what must be there before. `tag` is of this time alone. */
  prepare(parts: StageParts, tag: string): Promise<Scene>
}

const shownMsMax = 30_000
const filter = encode(JSON.stringify({ room: { timeline: { limit: 500 } } }))

/**
 * What a client is shown from where it was on: the events of a room, and messages to its device. What has
 * been taken from another server may be shown later, for which it is given some time.
 */
async function shownTo(client: Client, roomId: string, expected: readonly string[] = []) {
  const end = performance.now() + shownMsMax
  const isAllThere = () => expected.every((id) => events.some(({ event_id }) => event_id === id))
  const events: ClientEvent[] = []
  const messages: Json[] = []
  for (let empty = 0; empty < 2 || !(isAllThere() || performance.now() > end); ) {
    const answer = await client.sync(empty === 0 ? 0 : 500, `&filter=${filter}`)
    const rooms = answer.rooms as { join?: Record<string, Timeline> } | undefined
    const timeline = rooms?.join?.[roomId]?.timeline
    assert.ok(!timeline?.limited, 'a sync left something out')
    events.push(...(timeline?.events ?? []))
    const given = answer.to_device as { events?: { content: Json }[] } | undefined
    for (const { content } of given?.events ?? []) messages.push(content)
    empty = (timeline?.events ?? []).length + (given?.events ?? []).length === 0 ? empty + 1 : 0
  }
  return { events, messages }
}

interface Timeline {
  readonly timeline?: { readonly events?: readonly ClientEvent[]; readonly limited?: boolean }
}

function once(what: string, all: readonly unknown[], one: unknown): void {
  assert.equal(all.filter((other) => other === one).length, 1, `${what} is there once: ${one}`)
}

const send: Script = {
  name: 'send',
  prepare: async ({ alice, bob, roomId }, tag) => {
    const said = new Map<string, string>()
    const data = `/v3/user/${encode(alice.userId)}/account_data/crash.tag`
    let redacted = ''
    return {
      act: async () => {
        for (const text of [`${tag} one`, `${tag} two`])
          said.set(await say(alice, roomId, text), text)
        const to = { messages: { [bob.userId]: { '*': { text: tag } } } }
        await call(alice, 'PUT', `/v3/sendToDevice/crash.note/${encode(tag)}`, to)
        const [first = '', second = ''] = said.keys()
        const receipt = `/v3/rooms/${encode(roomId)}/receipt/m.read/${encode(second)}`
        await call(bob, 'POST', receipt, {})
        const redact = `/v3/rooms/${encode(roomId)}/redact/${encode(first)}/${encode(tag)}`
        redacted = String((await call(alice, 'PUT', redact, {})).event_id)
        await call(alice, 'PUT', data, { tag })
      },
      check: async () => {
        const { events, messages } = await shownTo(bob, roomId)
        const ids = events.map(({ event_id }) => event_id)
        for (const id of [...said.keys(), redacted]) once('an event', ids, id)
        const texts = events.map(({ content }) => content.body)
        once('a text', texts, `${tag} two`)
        once(
          'a message to a device',
          messages.map(({ text }) => text),
          tag,
        )
        const history = await bob.history(roomId, 20)
        const first = history.find(({ event_id }) => event_id === [...said.keys()][0])
        assert.deepEqual(first?.content, {}, 'what was redacted has no content')
        assert.deepEqual(await call(alice, 'GET', data), { tag })
      },
    }
  },
}

const receive: Script = {
  name: 'receive',
  prepare: async ({ alice, peer, peerRoom, push, process }, tag) => {
    await shownTo(alice, peerRoom.roomId)
    const pdus = Array.from({ length: 50 }, () => peerRoom.addMessage())
    const destination = process.serverName as typeof peer.serverName
    const message = {
      edu_type: 'm.direct_to_device',
      content: {
        ...{ message_id: tag, sender: peerRoom.creator, type: 'crash.note' },
        messages: { [alice.userId]: { '*': { text: tag } } },
      },
    }
    const all = [
      ...signTransactions(peer.signer, destination, pdus),
      ...signEdus(peer.signer, destination, [message]),
    ]
    return {
      act: async () => {
        for (const one of all) await again('a transaction', () => push.pushAll([one]))
      },
      check: async () => {
        const expected = pdus.map(({ event_id }) => event_id)
        const { events, messages } = await shownTo(alice, peerRoom.roomId, expected)
        const ids = events.map(({ event_id }) => event_id)
        for (const id of expected) once('an event', ids, id)
        once(
          'a message to a device',
          messages.map(({ text }) => text),
          tag,
        )
      },
    }
  },
}

const membersOfJoined = 60

const joinAndLeave: Script = {
  name: 'join',
  prepare: async ({ alice, peer }, tag) => {
    const { roomId } = peer.createRoom(version, membersOfJoined)
    const path = `/v3/join/${encode(roomId)}?server_name=${encode(peer.serverName)}`
    return {
      act: async () => {
        await call(alice, 'POST', path, {})
        await say(alice, roomId, `${tag} here`)
      },
      check: async () => {
        const joined = (await alice.state(roomId)).filter(
          ({ type, content }) => type === 'm.room.member' && content.membership === 'join',
        )
        assert.equal(joined.length, membersOfJoined + 2)
        const texts = (await alice.history(roomId, 20)).map(({ content }) => content.body)
        once('a text', texts, `${tag} here`)
        await alice.leave(roomId)
        await alice.call('POST', `/v3/rooms/${encode(roomId)}/forget`, {})
        peer.forgetRoom(roomId as Parameters<typeof peer.forgetRoom>[0])
      },
    }
  },
}

const mediaBytes = 150_000

const media: Script = {
  name: 'media',
  prepare: async ({ alice, bob, folder }) => {
    const contents = [1, 2].map(() => randomBytes(mediaBytes / 2).toString('hex'))
    const [one = '', two = ''] = contents
    const kept: { uri: string; bytes: string }[] = []
    return {
      act: async () => {
        // The last one is a file that is there already.
        for (const [by, bytes] of [
          [alice, one],
          [bob, two],
          [bob, one],
        ] as const) {
          kept.push({ uri: await again('upload', () => upload(by, bytes)), bytes })
        }
      },
      check: async () => {
        for (const { uri, bytes } of kept) assert.equal(await download(alice, uri), bytes)
        await checkFiles(folder)
      },
    }
  },
}

/** Each file of media is named in the database, and each that is named there is there. */
async function checkFiles(folder: string): Promise<void> {
  const db = await openSqlite({ path: join(folder, 'hansa.db') })
  try {
    await eventually('nothing is loose', async () => (await waitingCounts(db)).loose_files === 0)
    const path = join(folder, 'media')
    const found = readdirSync(path, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ name }) => name)
    assert.deepEqual(found.toSorted(), (await namedFiles(db)).toSorted())
    assert.ok(
      !existsSync(join(path, 'incoming')) || readdirSync(join(path, 'incoming')).length === 0,
    )
  } finally {
    await db.close()
  }
}

const saidBeforeRemoval = 40

const remove: Script = {
  name: 'remove',
  prepare: async ({ alice, bob, folder }, tag) => {
    const roomId = await alice.createRoom({ preset: 'public_chat', name: tag })
    await bob.join(roomId)
    const numbers = Array.from({ length: saidBeforeRemoval }, (_, number) => `${tag} ${number}`)
    const events = await Promise.all(numbers.map((text) => alice.send(roomId, text)))
    const admin = `/_hansa/admin/v1/rooms/${encode(roomId)}`
    return {
      act: async () => {
        await again('delete history', () =>
          ask(alice, 'POST', `${admin}/delete_history`, events[saidBeforeRemoval - 5]),
        )
        await again('remove room', () => ask(alice, 'DELETE', `${admin}?leave=true`))
      },
      check: async () => {
        await assert.rejects(alice.state(roomId), ApiError)
        const db = await openSqlite({ path: join(folder, 'hansa.db') })
        try {
          const ids = (await allRoomRows(db)).map(({ room_id }) => String(room_id))
          assert.ok(!ids.includes(roomId), 'the room is gone')
        } finally {
          await db.close()
        }
      },
    }
  },
}

const register: Script = {
  name: 'register',
  prepare: async ({ bob, process }, tag) => {
    const name = `new.${tag}`.toLowerCase().replaceAll(/[^a-z0-9.]/g, '.')
    let newcomer: Client | undefined
    let roomId = ''
    return {
      act: async () => {
        newcomer ??= await again('register', () => registered(process.baseUrl, name))
        const client = newcomer
        const device_id = await again('whoami', () => client.deviceId())
        const keys = { user_id: client.userId, device_id, algorithms: [], keys: {}, signatures: {} }
        await call(client, 'POST', '/v3/keys/upload', { device_keys: keys })
        roomId = await again('create room', () => client.createRoom({ name: tag }))
        await again('invite', () => client.member('invite', roomId, bob.userId))
        await call(bob, 'POST', `/v3/join/${encode(roomId)}`, {})
      },
      check: async () => {
        const client = newcomer as Client
        assert.equal(await client.membership(roomId, bob.userId), 'join')
        const answer = await bob.call('POST', '/v3/keys/query', {
          device_keys: { [client.userId]: [] },
        })
        const devices = (answer.device_keys as Record<string, Json>)[client.userId] ?? {}
        assert.equal(Object.keys(devices).length, 1, 'the keys of one device')
        const { joined_rooms } = await client.call('GET', '/v3/joined_rooms')
        assert.ok((joined_rooms as string[]).includes(roomId))
        await bob.leave(roomId)
      },
    }
  },
}

export const scripts: readonly Script[] = [send, receive, joinAndLeave, media, remove, register]
