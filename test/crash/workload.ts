/**
 * What two users of two servers do while one of the servers dies, and what must be true of it in the
 * end. Whatever is not answered is done again, as clients do; what was answered with 200 counts.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { ApiError, Client, eventually, type Json } from '../rig/client.ts'
import type { Pair } from './pair.ts'

const encode = encodeURIComponent
const limits = { callMs: 8_000, operationMs: 180_000, pauseMs: 60, agreeMs: 180_000 } as const

/** Does something until it is answered. */
export async function again<T>(what: string, act: () => Promise<T>): Promise<T> {
  const end = performance.now() + limits.operationMs
  for (;;) {
    try {
      return await act()
    } catch (error) {
      if (performance.now() > end) throw new Error(`never answered: ${what}`, { cause: error })
      await new Promise((resolve) => setTimeout(resolve, limits.pauseMs))
    }
  }
}

/** A call that is repeated until it is answered; a second one gives the outcome of the first. */
export function call(client: Client, method: string, path: string, body?: Json): Promise<Json> {
  return again(`${method} ${path}`, () =>
    client.call(method, path, body, AbortSignal.timeout(limits.callMs)),
  )
}

export async function say(client: Client, roomId: string, text: string): Promise<string> {
  const path = `/v3/rooms/${encode(roomId)}/send/m.room.message/${encode(text)}`
  const { event_id } = await call(client, 'PUT', path, { msgtype: 'm.text', body: text })
  return String(event_id)
}

/** What was acknowledged in a round. */
class Acknowledged {
  /** The texts of messages, by their events. */
  readonly said = new Map<string, string>()
  readonly redacted = new Set<string>()
  /** Texts of messages to devices, by user. */
  readonly told = new Map<string, string[]>()
  read: { readonly by: string; readonly eventId: string } | undefined
  media: { readonly by: Client; readonly uri: string; readonly bytes: string }[] = []
}

/** Does all of it once, and then sees that it was. `tag` is of this round alone. */
export async function round(pair: Pair, tag: string): Promise<void> {
  const done = new Acknowledged()
  await Promise.all([
    talk(pair, done, tag),
    tellDevices(pair, done, tag),
    keepMedia(pair, done, tag),
    comeAndGo(pair, tag),
    begin(pair, tag),
    slide(pair),
  ])
  await check(pair, done)
}

async function talk({ alice, bob, roomId, gateway }: Pair, done: Acknowledged, tag: string) {
  const all = async (client: Client, name: string) => {
    const ids: string[] = []
    for (let count = 0; count < 3; count += 1) {
      const text = `${tag} ${name} ${count}`
      const eventId = await say(client, roomId, text)
      done.said.set(eventId, text)
      ids.push(eventId)
    }
    return ids
  }
  const [[first = '']] = await Promise.all([all(alice, 'alice'), all(bob, 'bob')])
  await call(alice, 'PUT', `/v3/rooms/${encode(roomId)}/redact/${encode(first)}/${encode(tag)}`, {})
  done.redacted.add(first)
  const topic = { topic: tag }
  await call(alice, 'PUT', `/v3/rooms/${encode(roomId)}/state/m.room.topic/`, topic)
  // Whoever says something has read what was there before, and is not notified of that.
  const last = await say(bob, roomId, `${tag} bob last`)
  done.said.set(last, `${tag} bob last`)
  await eventually(
    `the gateway hears of ${last}`,
    async () => gateway.told.has(last),
    limits.agreeMs,
  )
  await call(alice, 'POST', `/v3/rooms/${encode(roomId)}/receipt/m.read/${encode(last)}`, {})
  done.read = { by: alice.userId, eventId: last }
  const data = `/v3/user/${encode(alice.userId)}/account_data/crash.tag`
  await call(alice, 'PUT', data, { tag })
  const criteria = { room_events: { search_term: 'alice' } }
  await call(alice, 'POST', '/v3/search', { search_categories: criteria })
  assert.deepEqual(await call(alice, 'GET', data), { tag })
}

async function tellDevices({ alice, bob }: Pair, done: Acknowledged, tag: string): Promise<void> {
  for (const [from, to] of [
    [alice, bob],
    [bob, alice],
  ] as const) {
    const text = `${tag} from ${from.userId}`
    const path = `/v3/sendToDevice/crash.note/${encode(tag)}`
    await call(from, 'PUT', path, { messages: { [to.userId]: { '*': { text } } } })
    done.told.set(to.userId, [text])
  }
}

async function keepMedia({ alice, bob }: Pair, done: Acknowledged, tag: string): Promise<void> {
  for (const by of [alice, bob]) {
    const bytes = `${tag} ${by.userId} `.repeat(200)
    const uri = await again('upload', () => upload(by, bytes))
    done.media.push({ by, uri, bytes })
  }
}

export async function upload(by: Client, bytes: string): Promise<string> {
  const answer = await fetch(`${by.baseUrl}/_matrix/media/v3/upload`, {
    method: 'POST',
    headers: { authorization: `Bearer ${by.token}`, 'content-type': 'text/plain' },
    body: bytes,
    signal: AbortSignal.timeout(limits.callMs),
  })
  const body = (await answer.json()) as Json
  if (!answer.ok) throw new ApiError('upload', answer.status, body)
  return String(body.content_uri)
}

export async function download(client: Client, uri: string): Promise<string> {
  const path = uri.replace('mxc://', '/_matrix/client/v1/media/download/')
  const answer = await fetch(`${client.baseUrl}${path}`, {
    headers: { authorization: `Bearer ${client.token}` },
    signal: AbortSignal.timeout(limits.callMs),
  })
  const text = await answer.text()
  if (!answer.ok) throw new Error(`download: ${answer.status} ${text}`)
  return text
}

/** Alice joins a large room of the other server, reads and says something, and has it removed here. */
async function comeAndGo({ alice, bob, largeRoomId: roomId }: Pair, tag: string): Promise<void> {
  const server = bob.userId.slice(bob.userId.indexOf(':') + 1)
  await call(alice, 'POST', `/v3/join/${encode(roomId)}?server_name=${encode(server)}`, {})
  const mine = await say(alice, roomId, `${tag} here`)
  await eventually(
    'the other server shows what was said in its room',
    async () => (await bob.history(roomId, 50)).some(({ event_id }) => event_id === mine),
    limits.agreeMs,
  )
  await again('history', () => alice.history(roomId, 30))
  const admin = `/_hansa/admin/v1/rooms/${encode(roomId)}`
  await again('delete history', () => ask(alice, 'POST', `${admin}/delete_history`, mine))
  await again('remove room', () => ask(alice, 'DELETE', `${admin}?leave=true`))
  await eventually(
    'the other server learns that she left',
    async () => (await bob.membership(roomId, alice.userId)) === 'leave',
    limits.agreeMs,
  )
}

/** An administrator's request; what is not there is done already. */
export async function ask(
  by: Client,
  method: string,
  path: string,
  before?: string,
): Promise<void> {
  const answer = await fetch(`${by.baseUrl}${path}`, {
    method,
    headers: { authorization: `Bearer ${by.token}`, 'content-type': 'application/json' },
    ...(before !== undefined && { body: JSON.stringify({ before_event: before }) }),
    signal: AbortSignal.timeout(limits.callMs),
  })
  const text = await answer.text()
  if (!answer.ok && answer.status !== 404) throw new Error(`${path}: ${answer.status} ${text}`)
}

/** Somebody new: an account, its keys, a room and an invitation. */
async function begin({ alice, bob }: Pair, tag: string): Promise<void> {
  const name = `new.${tag}`.toLowerCase().replaceAll(/[^a-z0-9.]/g, '.')
  const newcomer = await again('register', () => registered(alice.baseUrl, name))
  const roomId = await again('create room', () =>
    newcomer.createRoom({ preset: 'private_chat', name: tag }),
  )
  await again('invite', () => newcomer.member('invite', roomId, bob.userId).catch(ifForbidden))
  await call(bob, 'POST', `/v3/join/${encode(roomId)}`, {})
  const device_id = await again('whoami', () => newcomer.deviceId())
  const keys = { user_id: newcomer.userId, device_id, algorithms: [], keys: {}, signatures: {} }
  await call(newcomer, 'POST', '/v3/keys/upload', { device_keys: keys })
  const text = `${tag} welcome`
  const eventId = await say(newcomer, roomId, text)
  await eventually(
    'the invited one reads what was said',
    async () => (await bob.history(roomId, 20)).some(({ event_id }) => event_id === eventId),
    limits.agreeMs,
  )
}

/** Whoever is invited and has joined cannot be invited again. */
function ifForbidden(error: unknown): void {
  if (!(error instanceof ApiError && error.status === 403)) throw error
}

export async function registered(baseUrl: string, name: string): Promise<Client> {
  try {
    return await Client.register(baseUrl, name)
  } catch (error) {
    if (!(error instanceof ApiError && error.errcode === 'M_USER_IN_USE')) throw error
    // The first time it was done, and the answer lost.
    return await loggedIn(baseUrl, name, `secret of ${name}`)
  }
}

export async function loggedIn(baseUrl: string, user: string, password: string): Promise<Client> {
  const answer = await new Client(baseUrl, '', '').call('POST', '/v3/login', {
    type: 'm.login.password',
    identifier: { type: 'm.id.user', user },
    password,
  })
  return new Client(baseUrl, String(answer.user_id), String(answer.access_token))
}

/** Simplified sliding sync, from the beginning and on. */
async function slide({ alice }: Pair): Promise<void> {
  let pos = ''
  for (let count = 0; count < 3; count += 1) {
    const body = {
      conn_id: 'crash',
      lists: { all: { ranges: [[0, count]], timeline_limit: count + 1, required_state: [] } },
    }
    const path = `/unstable/org.matrix.simplified_msc3575/sync?timeout=0${pos}`
    const answer = await again('sliding sync', () =>
      alice.call('POST', path, body, AbortSignal.timeout(limits.callMs)),
    )
    pos = `&pos=${encode(String(answer.pos))}`
  }
}

async function check(pair: Pair, done: Acknowledged): Promise<void> {
  const { alice, bob, roomId, readers } = pair
  for (const reader of readers) {
    const { userId } = reader.client
    const has = (eventId: string) => reader.events.some(({ event_id }) => event_id === eventId)
    for (const [eventId, text] of done.said) {
      await eventually(`${userId} is shown ${text}`, async () => has(eventId), limits.agreeMs)
    }
    for (const text of done.told.get(userId) ?? []) {
      const come = async () => reader.messages.some((message) => message.text === text)
      await eventually(`${userId} is told ${text}`, come, limits.agreeMs)
    }
    const { read } = done
    if (read !== undefined && userId !== read.by) {
      const seen = async () => reader.receipts.get(read.by) === read.eventId
      await eventually(`${userId} sees what was read`, seen, limits.agreeMs)
    }
    assert.ok(!reader.hasGap, 'a sync left something out')
  }
  for (const client of [alice, bob]) {
    for (const { by, uri, bytes } of done.media) {
      const text = await again('download', () => download(client, uri))
      assert.equal(text, bytes, `${client.userId} downloads what ${by.userId} uploaded`)
    }
    for (const eventId of done.redacted) {
      await eventually('it is redacted', async () => isRedacted(client, roomId, eventId))
    }
  }
  await agree(pair)
  checkOnce(pair)
}

async function isRedacted(client: Client, roomId: string, eventId: string): Promise<boolean> {
  const path = `/v3/rooms/${encode(roomId)}/event/${encode(eventId)}`
  return Object.keys((await client.call('GET', path)).content as Json).length === 0
}

/** Both servers come to the same state of the room. */
async function agree({ alice, bob, roomId }: Pair): Promise<void> {
  const stateOf = async (client: Client) =>
    (await client.state(roomId))
      .map(({ event_id }) => event_id)
      .toSorted()
      .join()
  const same = async () => (await stateOf(alice)) === (await stateOf(bob))
  await eventually('both servers have one state', same, limits.agreeMs)
}

/** Nothing was shown to anybody twice: no event, and no text under two events. */
export function checkOnce({ readers }: Pair): void {
  for (const { client, events, messages } of readers) {
    const texts = events.flatMap(({ content }) =>
      content.body === undefined ? [] : [content.body],
    )
    assertOnce(client, texts)
    assertOnce(
      client,
      events.map(({ event_id }) => event_id),
    )
    assertOnce(
      client,
      messages.map(({ text }) => text),
    )
  }
}

function assertOnce({ userId }: Client, shown: readonly unknown[]): void {
  const twice = shown.filter((one, index) => shown.indexOf(one) !== index)
  assert.deepEqual(twice, [], `${userId} is shown it twice`)
}
