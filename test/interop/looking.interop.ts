/**
 * What a server shows of its rooms, spaces and media to people on another one, who are not in the room
 * or were not yet.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import sharp from 'sharp'
import type { Client, Json } from '../rig/client.ts'
import { Federation } from './federation.ts'
import { gives, inEachPair, type Pair, twoInRoom } from './pairs.ts'
import { becomes, sendMany, serverOf } from './scenarios.ts'

const started = await Federation.start({ whole: true })

const encode = encodeURIComponent

/** A call of the media API, whose answer is a file. */
async function file(client: Client, path: string): Promise<{ type: string; bytes: Buffer }> {
  const answer = await fetch(`${client.baseUrl}/_matrix/client/v1/media/${path}`, {
    headers: { authorization: `Bearer ${client.token}` },
  })
  const bytes = Buffer.from(await answer.arrayBuffer())
  assert.equal(answer.status, 200, bytes.toString())
  return { type: answer.headers.get('content-type') ?? '', bytes }
}

async function upload(client: Client, body: Buffer, type: string): Promise<string> {
  const answer = await fetch(`${client.baseUrl}/_matrix/media/v3/upload?filename=some.file`, {
    method: 'POST',
    headers: { authorization: `Bearer ${client.token}`, 'content-type': type },
    body: new Uint8Array(body),
  })
  const { content_uri } = (await answer.json()) as { content_uri: string }
  return content_uri.slice('mxc://'.length)
}

/** Rooms with a word in their names, as the directory shows them. */
interface Listing {
  readonly chunk: readonly Json[]
  readonly next_batch?: string
  readonly total_room_count_estimate?: number
}

/** Somebody makes rooms that are published. */
async function publish({ federation, home }: Pair, word: string, count: number) {
  const alice = await federation.user(home, 'alice')
  const ids: string[] = []
  for (let index = 0; index < count; index += 1) {
    const roomId = await alice.createRoom({
      preset: 'public_chat',
      visibility: 'public',
      name: `${word} ${index}`,
      topic: `the topic of ${index}`,
      room_alias_name: `${word}-${index}`,
    })
    ids.push(roomId)
  }
  return { alice, ids }
}

/** A word that no other test uses. */
let words = 0
function newWord(): string {
  words += 1
  return `harbour${words}x`
}

inEachPair(started, {
  media: async ({ federation, home, away }) => {
    const alice = await federation.user(home, 'alice')
    const bob = await federation.user(away, 'bob')
    const picture = await sharp({
      create: { width: 640, height: 480, channels: 3, background: '#2060a0' },
    })
      .png()
      .toBuffer()
    const mediaId = await upload(alice, picture, 'image/png')
    const downloaded = await file(bob, `download/${mediaId}`)
    assert.equal(downloaded.type, 'image/png')
    assert.deepEqual(downloaded.bytes, picture)
    const small = await file(bob, `thumbnail/${mediaId}?width=96&height=96&method=crop`)
    const { width, height } = await sharp(small.bytes).metadata()
    assert.deepEqual([width, height], [96, 96])
    // What is more than one piece of TCP, and again from the cache.
    const large = Buffer.alloc(3_000_000, createHash('sha256').update(mediaId).digest())
    const largeId = await upload(alice, large, 'application/octet-stream')
    for (const reader of [bob, bob, alice]) {
      assert.ok((await file(reader, `download/${largeId}`)).bytes.equals(large))
    }
    const missing = `/v1/media/download/${home.process.serverName}/abcdefghijklmnopqrstuvwx`
    await assert.rejects(bob.call('GET', missing), /: 404 M_NOT_FOUND/)
  },

  'the room directory, with and without a filter': async (pair) => {
    const word = newWord()
    const { alice, ids } = await publish(pair, word, 3)
    const bob = await pair.federation.user(pair.away, 'bob')
    const server = `server=${encode(pair.home.process.serverName)}`
    const post = async (body: Json) =>
      (await bob.call('POST', `/v3/publicRooms?${server}`, body)) as unknown as Listing
    const filter = { generic_search_term: word }
    await gives('the rooms are listed', async () => (await post({ filter })).chunk.length === 3)
    const { chunk } = await post({ filter })
    const first = chunk.find(({ room_id }) => room_id === ids[0])
    assert.equal(first?.name, `${word} 0`)
    assert.equal(first?.topic, 'the topic of 0')
    assert.equal(first?.canonical_alias, `#${word}-0:${serverOf(alice)}`)
    assert.equal(first?.num_joined_members, 1)
    assert.equal(first?.world_readable, false)
    assert.equal(first?.guest_can_join, false)
    assert.equal(first?.join_rule ?? 'public', 'public')
    const none = await post({ filter: { generic_search_term: `${word}nothing` } })
    assert.deepEqual(none.chunk, [])
    const inPages: unknown[] = []
    for (let since: string | undefined; ; ) {
      const page = (await bob.call(
        'GET',
        `/v3/publicRooms?${server}&limit=2${since === undefined ? '' : `&since=${encode(since)}`}`,
      )) as unknown as Listing
      assert.ok(page.chunk.length <= 2)
      inPages.push(...page.chunk.map(({ room_id }) => room_id))
      since = page.next_batch
      if (since === undefined) break
    }
    assert.ok(ids.every((id) => inPages.filter((other) => other === id).length === 1))
  },

  aliases: async ({ federation, home, away }) => {
    const alice = await federation.user(home, 'alice')
    const bob = await federation.user(away, 'bob')
    const roomId = await alice.createRoom({ preset: 'public_chat' })
    const path = `/v3/directory/room/${encode(`#${newWord()}:${serverOf(alice)}`)}`
    await assert.rejects(bob.call('GET', path), /: 404 M_NOT_FOUND/)
    await alice.call('PUT', path, { room_id: roomId })
    const found = await bob.call('GET', path)
    assert.equal(found.room_id, roomId)
    assert.ok((found.servers as string[]).includes(serverOf(alice)))
    await alice.call('DELETE', path)
    await assert.rejects(bob.call('GET', path), /: 404 M_NOT_FOUND/)
  },

  'a space and the rooms in it': async (pair) => {
    const {
      alice,
      bob,
      roomId: space,
    } = await twoInRoom(pair, {
      creation_content: { type: 'm.space' },
      name: 'Space',
    })
    const via = [serverOf(alice)]
    const child = async (options: Json) => {
      const roomId = await alice.createRoom(options)
      await alice.setState(space, 'm.space.child', { via }, roomId)
      return roomId
    }
    const [open, closed, members, knockable] = [
      await child({ preset: 'public_chat', name: 'Open', topic: 'for all' }),
      await child({ preset: 'private_chat', name: 'Closed' }),
      await child({ name: 'Members', initial_state: [restrictedTo(space)] }),
      await child({ name: 'Knock', initial_state: [joinRules({ join_rule: 'knock' })] }),
    ]
    const nested = await child({
      preset: 'public_chat',
      name: 'Nested',
      creation_content: { type: 'm.space' },
    })
    const deep = await alice.createRoom({ preset: 'public_chat', name: 'Deep' })
    await alice.setState(nested, 'm.space.child', { via, suggested: true }, deep)
    const seen = await gives('the whole space is shown', async () => {
      const { rooms } = await bob.call('GET', `/v1/rooms/${encode(space)}/hierarchy`)
      const list = rooms as readonly Json[]
      return list.length >= 6 && new Map(list.map((room) => [room.room_id, room]))
    })
    assert.deepEqual(
      [...seen.keys()].toSorted(),
      [space, open, members, knockable, nested, deep].toSorted(),
      `${closed} is not shown`,
    )
    assert.equal(seen.get(open)?.name, 'Open')
    assert.equal(seen.get(open)?.topic, 'for all')
    assert.equal(seen.get(members)?.join_rule, 'restricted')
    assert.equal(seen.get(knockable)?.join_rule, 'knock')
    assert.equal(seen.get(nested)?.room_type, 'm.space')
    const links = (seen.get(nested)?.children_state ?? []) as readonly Json[]
    assert.deepEqual(
      links.map(({ state_key }) => state_key),
      [deep],
    )
    const suggested = `/v1/rooms/${encode(space)}/hierarchy?suggested_only=true`
    const { rooms } = await bob.call('GET', suggested)
    assert.deepEqual(
      (rooms as readonly Json[]).map(({ room_id }) => room_id),
      [space],
    )
  },

  'the summary of a room': async ({ federation, home, away }) => {
    const alice = await federation.user(home, 'alice')
    const bob = await federation.user(away, 'bob')
    const via = serverOf(alice)
    const ask = (roomId: string) =>
      bob.call('GET', `/v1/room_summary/${encode(roomId)}?via=${encode(via)}`)
    const alias = newWord()
    const open = await alice.createRoom({
      preset: 'public_chat',
      name: 'Open',
      topic: 'for all',
      room_alias_name: alias,
    })
    for (const name of [open, `#${alias}:${via}`]) {
      const shown = await ask(name)
      assert.equal(shown.room_id, open)
      assert.equal(shown.name, 'Open')
      assert.equal(shown.topic, 'for all')
      assert.equal(shown.num_joined_members, 1)
      assert.equal(shown.join_rule, 'public')
    }
    const closed = await alice.createRoom({ preset: 'private_chat', name: 'Closed' })
    await assert.rejects(ask(closed), /: (404 M_NOT_FOUND|403 M_FORBIDDEN)/)
  },

  'the event of a time before the join': async ({ federation, home, away }) => {
    const alice = await federation.user(home, 'alice')
    const bob = await federation.user(away, 'bob')
    const roomId = await alice.createRoom({ preset: 'public_chat' })
    const early = await alice.send(roomId, 'early')
    await sendMany(alice, roomId, 60)
    const { origin_server_ts: earlyTs } = (await alice.call(
      'GET',
      `/v3/rooms/${encode(roomId)}/event/${encode(early)}`,
    )) as unknown as { origin_server_ts: number }
    await bob.join(roomId, [serverOf(alice)])
    await becomes(alice, roomId, bob, 'join')
    const at = (ts: number, dir: string) =>
      bob.call('GET', `/v1/rooms/${encode(roomId)}/timestamp_to_event?ts=${ts}&dir=${dir}`)
    for (const dir of ['f', 'b']) {
      const found = await at(earlyTs, dir)
      assert.deepEqual(found, { event_id: early, origin_server_ts: earlyTs })
    }
    await assert.rejects(at(1, 'b'), /: 404 M_NOT_FOUND/)
    await assert.rejects(at(Date.now() + 3_600_000, 'f'), /: 404 M_NOT_FOUND/)
    // From what was found the history goes on to where the room begins.
    const context = `/v3/rooms/${encode(roomId)}/context/${encode(early)}?limit=4`
    const { start } = await bob.call('GET', context)
    await gives('the beginning of the room', async () => {
      const path = `/v3/rooms/${encode(roomId)}/messages?dir=b&limit=50&from=${encode(String(start))}`
      const { chunk } = (await bob.call('GET', path)) as { chunk?: readonly Json[] }
      return chunk?.at(-1)?.type === 'm.room.create'
    })
  },
})

function joinRules(content: Json): Json {
  return { type: 'm.room.join_rules', state_key: '', content }
}

function restrictedTo(roomId: string): Json {
  const allow = [{ type: 'm.room_membership', room_id: roomId }]
  return joinRules({ join_rule: 'restricted', allow })
}
