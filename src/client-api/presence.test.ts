import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { at, type Body, roomClientWorld, type TestUser } from '../../test/room-client-world.ts'

async function world(t: TestContext) {
  const made = await roomClientWorld(t, { presence: true })
  const [alice, bob] = [await made.user('alice'), await made.user('bob')]
  const roomId = await alice.createRoom({ preset: 'public_chat' })
  await bob.post(at(roomId, '/join'))
  return { ...made, alice, bob, roomId }
}

const status = (user: TestUser) => `/presence/${encodeURIComponent(user.userId)}/status`

/** Who is how, as a sync says. */
function seen({ presence }: Body): Record<string, string> {
  const events = presence.events as { sender: string; content: Body }[]
  return Object.fromEntries(events.map(({ sender, content }) => [sender, content.presence]))
}

test('a user who syncs is online, idle after a while, and offline when nothing is heard', async (t) => {
  const { alice, bob, time } = await world(t)
  assert.deepEqual(await bob.get(status(alice)), { presence: 'offline' })
  const { next_batch } = await bob.sync('set_presence=offline')
  await alice.sync()
  assert.deepEqual(await bob.get(status(alice)), {
    presence: 'online',
    last_active_ago: 0,
    currently_active: true,
  })
  const after = await bob.sync(`set_presence=offline&since=${next_batch}`)
  assert.deepEqual(seen(after), { [alice.userId]: 'online' })
  // Nothing more of it is told.
  const later = await bob.sync(`set_presence=offline&since=${after.next_batch}`)
  assert.deepEqual(seen({ presence: { events: [], ...later.presence } }), {})

  for (let minute = 0; minute < 6; minute += 1) {
    await alice.sync()
    await time.run(25_000)
    await alice.sync()
    await time.run(25_000)
  }
  const { presence, last_active_ago } = await bob.get(status(alice))
  assert.deepEqual([presence, last_active_ago], ['unavailable', 300_000])
  await time.run(60_000)
  assert.equal((await bob.get(status(alice))).presence, 'offline')
})

test('to send something is to be active', async (t) => {
  const { alice, bob, roomId, time } = await world(t)
  await alice.sync()
  await time.run(20_000)
  await alice.sync('set_presence=unavailable')
  assert.equal((await bob.get(status(alice))).presence, 'unavailable')
  await time.run(15_000)
  await alice.sync()
  assert.equal((await bob.get(status(alice))).presence, 'online')
  await alice.put(status(alice), { presence: 'unavailable' })
  await time.run(15_000)
  await alice.sync()
  assert.equal((await bob.get(status(alice))).presence, 'unavailable')
  await alice.say(roomId, 'I am back')
  await time.run(15_000)
  const now = await bob.get(status(alice))
  assert.deepEqual([now.presence, now.last_active_ago], ['online', 15_000])
})

test('a status message stays, also when nobody is there, until another is set', async (t) => {
  const { alice, bob, time } = await world(t)
  await alice.put(status(alice), { presence: 'online', status_msg: 'in a meeting' })
  assert.equal((await bob.get(status(alice))).status_msg, 'in a meeting')
  await time.run(15_000)
  await alice.put(status(alice), { presence: 'offline', status_msg: 'gone' })
  const gone = await bob.get(status(alice))
  assert.deepEqual([gone.presence, gone.status_msg], ['offline', 'gone'])
  await time.run(15_000)
  await alice.sync()
  const back = await bob.get(status(alice))
  assert.deepEqual([back.presence, back.status_msg], ['online', 'gone'])
  await time.run(15_000)
  await alice.put(status(alice), { presence: 'online' })
  assert.equal((await bob.get(status(alice))).status_msg, undefined)
})

test('what is refused', async (t) => {
  const { alice, bob, user } = await world(t)
  const carol = await user('carol')
  const cases: [TestUser, string, string, unknown, string][] = [
    [carol, 'GET', status(alice), undefined, '403 M_FORBIDDEN'],
    [alice, 'GET', '/presence/@nobody:hansa.test/status', undefined, '403 M_FORBIDDEN'],
    [bob, 'PUT', status(alice), { presence: 'online' }, '403 M_FORBIDDEN'],
    [bob, 'PUT', status(bob), { presence: 'away' }, '400 M_BAD_JSON'],
    [bob, 'PUT', status(bob), {}, '400 M_MISSING_PARAM'],
    [
      bob,
      'PUT',
      status(bob),
      { presence: 'online', status_msg: 'x'.repeat(1_001) },
      '400 M_BAD_JSON',
    ],
    [bob, 'GET', '/presence/x/status', undefined, '400 M_INVALID_PARAM'],
    [bob, 'GET', '/sync?set_presence=away', undefined, '400 M_INVALID_PARAM'],
  ]
  for (const [who, method, target, body, expected] of cases) {
    assert.equal(await who.refused(method, target, body), expected, `${method} ${target}`)
  }
  assert.deepEqual(await carol.get(status(carol)), { presence: 'offline' })
})

test('some changes are told at once, of many only the last', async (t) => {
  const { alice, bob, time } = await world(t)
  const { next_batch } = await bob.sync('set_presence=offline')
  const events: Body[] = []
  let since = next_batch
  const look = async () => {
    const answer = await bob.sync(`set_presence=offline&since=${since}`)
    since = answer.next_batch
    events.push(...(answer.presence?.events ?? []))
  }
  for (let change = 0; change < 20; change += 1) {
    await alice.put(status(alice), { presence: 'online', status_msg: `status ${change}` })
    await look()
  }
  assert.deepEqual(
    events.map(({ content }) => content.status_msg),
    [0, 1, 2, 3, 4].map((change) => `status ${change}`),
  )
  events.length = 0
  await time.run(50_000)
  await look()
  assert.deepEqual(
    events.map(({ content }) => content.status_msg),
    ['status 19'],
  )
})

test('a device that is idle is not kept online by what it said before', async (t) => {
  const { alice, bob } = await world(t)
  const { next_batch } = await bob.sync('set_presence=offline')
  await alice.put(status(alice), { presence: 'online' })
  await alice.sync('set_presence=unavailable')
  const got = await bob.sync(`set_presence=offline&since=${next_batch}`)
  assert.deepEqual(seen(got), { [alice.userId]: 'unavailable' })
})

test('who comes into a room sees who is there, and is seen, once', async (t) => {
  const { alice, bob, user } = await world(t)
  const roomId = await alice.createRoom({ preset: 'public_chat' })
  const carol = await user('carol')
  await alice.sync()
  const { next_batch: before } = await carol.sync('set_presence=offline')
  const { next_batch: alicesBefore } = await alice.sync()
  await carol.post(`/join/${roomId}`)
  const got = await carol.sync(`set_presence=offline&since=${before}`)
  assert.deepEqual(seen(got), { [alice.userId]: 'online' })
  const again = await carol.sync(`set_presence=offline&since=${got.next_batch}`)
  assert.deepEqual(again.presence?.events ?? [], [])
  // Carol was online before Alice knew her.
  await carol.sync(`since=${got.next_batch}`)
  await bob.post(`/join/${roomId}`)
  const seenByAlice = await alice.sync(`since=${alicesBefore}`)
  assert.equal(seen(seenByAlice)[carol.userId], 'online')
})

test('a filter may ask for none; a client that waits is woken', async (t) => {
  const { alice, bob, time } = await world(t)
  const none = encodeURIComponent(JSON.stringify({ presence: { types: [] } }))
  const { next_batch } = await bob.sync('set_presence=offline')
  const waiting = bob.sync(`set_presence=offline&timeout=30000&since=${next_batch}`)
  await alice.put(status(alice), { presence: 'online' })
  assert.deepEqual(seen(await time.await(waiting)), { [alice.userId]: 'online' })
  const without = await bob.sync(`set_presence=offline&filter=${none}`)
  assert.deepEqual(without.presence.events, [])
})

test('without presence nothing is told, and nothing is known', async (t) => {
  const { user } = await roomClientWorld(t)
  const alice = await user('alice')
  await alice.put(status(alice), { presence: 'online' })
  await alice.sync()
  assert.equal(await alice.refused('GET', status(alice)), '404 M_NOT_FOUND')
})
