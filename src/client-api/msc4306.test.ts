/** Threads that users subscribe to: what is kept, what clients are told, and what notifies. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  at,
  type Body,
  type RoomClientWorld,
  roomClientWorld,
  type TestUser,
} from '../../test/room-client-world.ts'

const base = '/_matrix/client/unstable/io.element.msc4306'
const changesPath = '/_matrix/client/unstable/io.element.msc4308/thread_subscriptions'
const slidingPath = '/_matrix/client/unstable/org.matrix.simplified_msc3575/sync'
const extension = 'io.element.msc4308.thread_subscriptions'
const encode = encodeURIComponent

const path = (roomId: string, root: string) =>
  `${base}/rooms/${encode(roomId)}/thread/${encode(root)}/subscription`

let txns = 0
async function reply(user: TestUser, roomId: string, root: string, more: object = {}) {
  txns += 1
  const relation = { rel_type: 'm.thread', event_id: root }
  const content = { msgtype: 'm.text', body: 'in the thread', 'm.relates_to': relation, ...more }
  return (await user.put(at(roomId, `/send/m.room.message/r${txns}`), content)).event_id as string
}

async function scene(world: RoomClientWorld) {
  const [alice, bob] = [await world.user('alice'), await world.user('bob')]
  const roomId = await alice.createRoom({ preset: 'public_chat' })
  await bob.post(`/join/${encode(roomId)}`)
  const root = await alice.say(roomId, 'the root')
  return { alice, bob, roomId, root, thread: path(roomId, root) }
}

test('a thread is subscribed to, and left', async (t) => {
  const { alice, bob, roomId, thread } = await scene(await roomClientWorld(t))
  assert.equal(await alice.refused('GET', thread), '404 M_NOT_FOUND')
  assert.deepEqual(await alice.put(thread), {})
  assert.deepEqual(await alice.get(thread), { automatic: false })
  assert.equal(await bob.refused('GET', thread), '404 M_NOT_FOUND')
  assert.deepEqual(await alice.del(thread), {})
  assert.equal(await alice.refused('GET', thread), '404 M_NOT_FOUND')
  assert.deepEqual(await alice.del(thread), {})
  // Whoever cannot see the root cannot tell whether it is there.
  const secret = await bob.createRoom()
  const hidden = path(secret, await bob.say(secret, 'secret'))
  for (const unseen of [hidden, path(roomId, '$nothing'), path('!none:hansa.test', '$x')]) {
    for (const method of ['GET', 'PUT', 'DELETE']) {
      assert.equal(await alice.refused(method, unseen), '404 M_NOT_FOUND', `${method} ${unseen}`)
    }
  }
})

test('a client subscribes by itself, but not again for what was before leaving', async (t) => {
  const { alice, bob, roomId, root, thread } = await scene(await roomClientWorld(t))
  const elsewhere = await bob.say(roomId, 'elsewhere')
  const first = await reply(bob, roomId, root)
  for (const wrong of [elsewhere, root]) {
    const notIn = '400 IO.ELEMENT.MSC4306.M_NOT_IN_THREAD'
    assert.equal(await alice.refused('PUT', thread, { automatic: wrong }), notIn)
  }
  assert.equal(await alice.refused('PUT', thread, { automatic: '$none' }), '404 M_NOT_FOUND')
  await alice.put(thread, { automatic: first })
  assert.deepEqual(await alice.get(thread), { automatic: true })
  await alice.put(thread, {})
  assert.deepEqual(await alice.get(thread), { automatic: false })
  // Manual subscriptions take precedence over automatic subscriptions.
  await alice.put(thread, { automatic: first })
  assert.deepEqual(await alice.get(thread), { automatic: false })
  const second = await reply(bob, roomId, root)
  await alice.del(thread)
  const conflict = '409 IO.ELEMENT.MSC4306.M_CONFLICTING_UNSUBSCRIPTION'
  for (const cause of [first, second]) {
    assert.equal(await alice.refused('PUT', thread, { automatic: cause }), conflict)
  }
  assert.equal(await alice.refused('GET', thread), '404 M_NOT_FOUND')
  const third = await reply(bob, roomId, root)
  await alice.put(thread, { automatic: third })
  assert.deepEqual(await alice.get(thread), { automatic: true })
  await alice.del(thread)
  await alice.put(thread, {})
  assert.deepEqual(await alice.get(thread), { automatic: false })
})

test('what notifies in threads', async (t) => {
  const { alice, bob, roomId, root, thread } = await scene(await roomClientWorld(t))
  const unread = async (user: TestUser) => {
    const filter = encode('{"room":{"timeline":{"unread_thread_notifications":true}}}')
    const { rooms } = await user.sync(`filter=${filter}`)
    const counts = rooms.join[roomId].unread_thread_notifications?.[root]
    return counts?.notification_count ?? 0
  }
  await reply(alice, roomId, root)
  // Who has never subscribed to any thread is notified as ever.
  assert.equal(await unread(bob), 1)
  const other = path(roomId, await alice.say(roomId, 'another root'))
  await bob.put(other)
  await reply(alice, roomId, root)
  assert.equal(await unread(bob), 1)
  await reply(alice, roomId, root, { 'm.mentions': { user_ids: [bob.userId] } })
  assert.equal(await unread(bob), 2)
  await bob.put(thread)
  await bob.put(`/pushrules/global/room/${encode(roomId)}`, { actions: [] })
  await reply(alice, roomId, root)
  assert.equal(await unread(bob), 3)
  await bob.del(thread)
  await reply(alice, roomId, root)
  assert.equal(await unread(bob), 3)
})

test('clients see the rules, may switch them off, and make none of that kind', async (t) => {
  const { bob } = await scene(await roomClientWorld(t))
  const { global } = await bob.get('/pushrules/')
  assert.deepEqual(global.postcontent, [
    {
      rule_id: '.io.element.msc4306.rule.unsubscribed_thread',
      default: true,
      enabled: true,
      conditions: [{ kind: 'io.element.msc4306.thread_subscription', subscribed: false }],
      actions: [],
    },
    {
      rule_id: '.io.element.msc4306.rule.subscribed_thread',
      default: true,
      enabled: true,
      conditions: [{ kind: 'io.element.msc4306.thread_subscription', subscribed: true }],
      actions: ['notify', { set_tweak: 'sound', value: 'default' }],
    },
  ])
  const rule = '/pushrules/global/postcontent/.io.element.msc4306.rule.subscribed_thread'
  await bob.put(`${rule}/enabled`, { enabled: false })
  assert.equal((await bob.get(rule)).enabled, false)
  const own = { conditions: [], actions: [] }
  const refused = await bob.refused('PUT', '/pushrules/global/postcontent/mine', own)
  assert.equal(refused, '400 M_INVALID_PARAM')
})

test('sliding sync tells of the last changes, and the rest is paged through', async (t) => {
  const { alice, roomId } = await scene(await roomClientWorld(t))
  const roots: string[] = []
  for (let count = 0; count < 5; count += 1) roots.push(await alice.say(roomId, `root ${count}`))
  const [r0 = '', r1 = '', r2 = '', r3 = '', r4 = ''] = roots
  for (const root of roots) await alice.put(path(roomId, root))
  const ask = async (pos?: string): Promise<Body> => {
    const query = pos === undefined ? '' : `?pos=${pos}`
    const extensions = { [extension]: { enabled: true, limit: 2 } }
    return await alice.post(`${slidingPath}${query}`, { extensions })
  }
  const subscribedIn = (section: Body) => Object.keys(section.subscribed?.[roomId] ?? {}).sort()
  const first = await ask()
  const section = first.extensions[extension]
  assert.deepEqual(subscribedIn(section), [r3, r4].sort())
  assert.equal(section.subscribed[roomId][r4].automatic, false)
  const older = await alice.get(`${changesPath}?dir=b&limit=2&from=${section.prev_batch}`)
  assert.deepEqual(subscribedIn(older), [r1, r2].sort())
  const oldest = await alice.get(`${changesPath}?dir=b&limit=2&from=${older.end}`)
  assert.deepEqual(subscribedIn(oldest), [r0])
  assert.equal(oldest.end, undefined)

  assert.equal((await ask(first.pos)).extensions[extension], undefined)
  for (const root of [r0, r1, r2]) await alice.del(path(roomId, root))
  const second = await ask(first.pos)
  const news = second.extensions[extension]
  assert.deepEqual(Object.keys(news), ['unsubscribed', 'prev_batch'])
  assert.deepEqual(Object.keys(news.unsubscribed[roomId]).sort(), [r1, r2].sort())
  // The later change of a thread has the higher stamp.
  const before = older.subscribed[roomId][r1].bump_stamp
  assert.ok(news.unsubscribed[roomId][r1].bump_stamp > before)
  // The `pos` of the request limits it.
  const missed = await alice.get(`${changesPath}?dir=b&from=${news.prev_batch}&to=${first.pos}`)
  assert.deepEqual(Object.keys(missed.unsubscribed[roomId]), [r0])
  assert.equal(missed.subscribed, undefined)
  const all = await alice.get(`${changesPath}?dir=b`)
  assert.deepEqual(subscribedIn(all), [r3, r4].sort())
  for (const wrong of ['from=x', 'to=x', 'limit=0']) {
    const refused = await alice.refused('GET', `${changesPath}?dir=b&${wrong}`)
    assert.equal(refused, '400 M_INVALID_PARAM', wrong)
  }
  assert.match(await alice.refused('GET', `${changesPath}?dir=f`), /^400 /)
})

test('who waits in sliding sync is woken by a change on another device', async (t) => {
  const world = await roomClientWorld(t)
  const { alice, thread } = await scene(world)
  const extensions = { [extension]: { enabled: true } }
  const { pos } = await alice.post(slidingPath, { extensions })
  const waiting = alice.post(`${slidingPath}?timeout=30000&pos=${pos}`, { extensions })
  await alice.put(thread)
  const { extensions: told } = await waiting
  assert.equal(Object.keys(told[extension].subscribed).length, 1)
})
