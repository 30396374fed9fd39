import assert from 'node:assert/strict'
import { test } from 'node:test'
import { roomClientWorld } from '../../test/room-client-world.ts'
import { memoryImage } from '../storage/sqlite.ts'

type World = Awaited<ReturnType<typeof roomClientWorld>>

/** A user who is logged in on two devices. */
async function twoDevices(world: World, username: string) {
  const first = await world.user(username)
  const body = {
    type: 'm.login.password',
    identifier: { type: 'm.id.user', user: username },
    password: 'secret',
    device_id: 'SECOND',
  }
  const login = await world.ask('POST', '/login', { body })
  const second = world.client(first.userId, login.body.access_token)
  const { device_id: firstId } = await first.get('/account/whoami')
  return { first, second, firstId: String(firstId), userId: first.userId }
}

const send = (txnId: string, type = 'm.dummy') => `/sendToDevice/${type}/${txnId}`
const since = (token: string) => `since=${token}&timeout=0`

test('a message is given to its devices until they say that they have it', async (t) => {
  const world = await roomClientWorld(t)
  const alice = await world.user('alice')
  const bob = await twoDevices(world, 'bob')
  const start = (await bob.second.sync()).next_batch
  const messages = { [bob.userId]: { SECOND: { for: 'one' }, NONE: { for: 'nobody' } } }
  assert.deepEqual(await alice.put(send('1'), { messages }), {})
  await alice.put(send('2'), { messages: { [bob.userId]: { '*': { for: 'all' } } } })
  const one = { sender: alice.userId, type: 'm.dummy', content: { for: 'one' } }
  const all = { sender: alice.userId, type: 'm.dummy', content: { for: 'all' } }
  const got = await bob.second.sync(since(start))
  assert.deepEqual(got.to_device, { events: [one, all] })
  // The same question has the same answer, also without a position.
  assert.deepEqual((await bob.second.sync(since(start))).to_device, got.to_device)
  assert.deepEqual((await bob.second.sync()).to_device, got.to_device)
  const next = await bob.second.sync(since(got.next_batch))
  assert.deepEqual(next.to_device, { events: [] })
  // What has been acknowledged is gone for good.
  assert.deepEqual((await bob.second.sync(since(start))).to_device, { events: [] })
  assert.deepEqual((await bob.first.sync()).to_device, { events: [all] })
  assert.deepEqual((await alice.sync()).to_device, { events: [] })
})

test('one who waits is told at once', async (t) => {
  const world = await roomClientWorld(t)
  const alice = await world.user('alice')
  const bob = await world.user('bob')
  const { next_batch: start } = await bob.sync()
  const waiting = bob.sync(`since=${start}&timeout=30000`)
  await alice.put(send('1'), { messages: { [bob.userId]: { '*': { a: 1 } } } })
  assert.equal((await waiting).to_device.events.length, 1)
})

test('contents stay what the sender wrote, to the byte', async (t) => {
  const world = await roomClientWorld(t)
  const alice = await world.user('alice')
  const content = '{ "b":1.0, "a":"\\u00e9\\/", "2":0,"1":[ ],"big":12345678901234567890 }'
  const text = `{"messages":{"${alice.userId}":{"*":${content}}}}`
  const sent = await world.askText('PUT', send('1'), { text, token: alice.token })
  assert.equal(sent.status, 200)
  const got = await world.askText('GET', '/sync', { text: '', token: alice.token })
  assert.ok(got.text.includes(`"content":${content}`), got.text)
})

test('a repeated request sends nothing, also after a crash', async (t) => {
  const image = memoryImage()
  const world = await roomClientWorld(t, { image })
  const alice = await twoDevices(world, 'alice')
  const put = (body: object, path = send('1')) => alice.first.put(path, { messages: body })
  const texts = async (from: World) => {
    const { to_device } = await from.client(alice.userId, alice.second.token).sync()
    return to_device.events.map((event: { content: { n: number } }) => event.content.n)
  }
  const to = (n: number) => ({ [alice.userId]: { SECOND: { n } } })
  await Promise.all([put(to(1)), put(to(1)), put(to(1))])
  await put(to(2))
  assert.deepEqual(await texts(world), [1])
  // The scope is a single device and a single HTTP endpoint.
  await put(to(3), send('1', 'm.other'))
  await alice.second.put(send('1'), { messages: to(4) })
  assert.deepEqual(await texts(world), [1, 3, 4])
  world.crash()
  const again = await roomClientWorld(t, { image, seed: 2 })
  await again.client(alice.userId, alice.first.token).put(send('1'), { messages: to(5) })
  assert.deepEqual(await texts(again), [1, 3, 4])
})

test('a long queue is given in parts, each once', async (t) => {
  const world = await roomClientWorld(t)
  const alice = await world.user('alice')
  const messages = (n: number) => ({ messages: { [alice.userId]: { '*': { n } } } })
  const roomId = await alice.createRoom()
  for (let n = 0; n < 250; n++) await alice.put(send(`t${n}`), messages(n))
  const seen: number[][] = []
  let token = ''
  for (let round = 0; round < 4; round++) {
    const got = await alice.sync(token === '' ? '' : since(token))
    seen.push(got.to_device.events.map((event: { content: { n: number } }) => event.content.n))
    assert.equal(roomId in (got.rooms?.join ?? {}), round === 0)
    token = got.next_batch
    if (round === 1) await alice.get(`/rooms/${roomId}/messages?dir=b&from=${token}`)
  }
  assert.deepEqual(
    seen.map((part) => part.length),
    [100, 100, 50, 0],
  )
  assert.deepEqual(
    seen.flat(),
    Array.from({ length: 250 }, (_, n) => n),
  )
})

test('what names a device comes before what is for all', async (t) => {
  const world = await roomClientWorld(t)
  const alice = await twoDevices(world, 'alice')
  const contents = { '*': { for: 'all' }, SECOND: { for: 'one' } }
  await alice.first.put(send('1'), { messages: { [alice.userId]: contents } })
  const contentsOf = async ({ sync }: typeof alice.first) =>
    (await sync()).to_device.events.map((event: { content: object }) => event.content)
  assert.deepEqual(await contentsOf(alice.first), [{ for: 'all' }])
  assert.deepEqual(await contentsOf(alice.second), [{ for: 'one' }])
})

test('what is malformed or too large is refused, and messages end with their device', async (t) => {
  const world = await roomClientWorld(t)
  const alice = await twoDevices(world, 'alice')
  const large = { [alice.userId]: { SECOND: { text: 'x'.repeat(65_536) } } }
  for (const [body, refusal] of [
    [{}, '400 M_MISSING_PARAM'],
    [{ messages: { alice: {} } }, '400 M_INVALID_PARAM'],
    [{ messages: { [alice.userId]: { SECOND: 'text' } } }, '400 M_BAD_JSON'],
    [{ messages: large }, '413 M_TOO_LARGE'],
  ] as const) {
    assert.equal(await alice.first.refused('PUT', send('1'), body), refusal)
  }
  await alice.first.put(send('1'), { messages: { [alice.userId]: { SECOND: { a: 1 } } } })
  await alice.second.post('/logout')
  const body = {
    type: 'm.login.password',
    identifier: { type: 'm.id.user', user: 'alice' },
    password: 'secret',
    device_id: 'SECOND',
  }
  const login = await world.ask('POST', '/login', { body })
  const again = world.client(alice.userId, login.body.access_token)
  assert.deepEqual((await again.sync()).to_device, { events: [] })
})
