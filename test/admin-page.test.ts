/**
 * The page for administrators: who may see what, and that it tells why an event was refused.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { viewRoutes } from '../src/admin-api/views.ts'
import { adminAsker } from './admin-ask.ts'
import { askAdmin, forkedRoom } from './forked-room.ts'
import { versionNamed } from './room-world.ts'
import { World } from './simulation/world.ts'

const encode = encodeURIComponent

test('the shell, its script and its style are for anybody, and say nothing of the server', async () => {
  const { a } = await forkedRoom('11')
  for (const path of ['', '/page.js', '/page.css']) {
    const { status, text } = await askAdmin(a, `/_hansa/admin${path}`, { token: '' })
    assert.equal(status, 200)
    assert.ok(text.length > 500)
    assert.ok(!text.includes(String(a.user('alice'))))
  }
  const { text } = await askAdmin(a, '/_hansa/admin', { token: '' })
  assert.ok(text.includes('src="/_hansa/admin/page.js"'))
  const { status, text: withSlash } = await askAdmin(a, '/_hansa/admin/', { token: '' })
  assert.deepEqual([status, withSlash], [200, text])
  // Where scripts may come from is of use only if none stands in the page itself.
  assert.ok(!/<script>|\son[a-z]+=|javascript:/.test(text))
})

test('what is shown in it is for administrators', async () => {
  const { a, roomId, byBob } = await forkedRoom('11')
  const views = ['rooms', `rooms/${encode(roomId)}`, `events/${encode(byBob)}`, 'server']
  for (const view of views) {
    const refusal = async (token: string) => {
      const { status, body } = await askAdmin(a, `views/${view}`, { token })
      return `${status} ${body.errcode}`
    }
    assert.equal(await refusal(''), '401 M_MISSING_TOKEN', view)
    assert.equal(await refusal('alice'), '403 M_FORBIDDEN', view)
  }
  const other = await askAdmin(a, `views/rooms/${encode('!other:a.test')}`)
  assert.deepEqual([other.status, other.body.errcode], [404, 'M_NOT_FOUND'])
})

test('a room is drawn with what was refused and by which rule; a link leads to why', async () => {
  const { a, roomId, byBob, byAlice } = await forkedRoom('11')
  const { status, text } = await askAdmin(a, `views/rooms/${encode(roomId)}`)
  assert.equal(status, 200)
  assert.match(text, /soft-failed in a\.test:8448/)
  assert.ok(text.includes('the sender&#39;s power level is too low for the event type'))
  const link = (event: string) =>
    `/_hansa/admin?${new URLSearchParams({ room: roomId, event })}`.replaceAll('&', '&amp;')
  for (const event of [byBob, byAlice]) assert.ok(text.includes(`href="${link(event)}"`), event)

  const why = await askAdmin(a, `views/events/${encode(byBob)}?room_id=${encode(roomId)}`)
  assert.equal(why.status, 200)
  assert.match(why.text, /It is soft-failed/)
  const judged = [...why.text.matchAll(/<h3>(.*?) <span class="badge (?:won|refused)">(\w+)/g)]
  assert.deepEqual(
    judged.map(([, by, verdict]) => `${by}: ${verdict}`),
    [
      'By the events that it names itself: allowed',
      'By the state before it: allowed',
      'By the state of the room when it came: refused',
    ],
  )
})

test('what people write is text in it', async () => {
  const { world, a, roomId } = await forkedRoom('11')
  const evil = '<img src=x onerror="alert(1)">'
  const alice = a.user('alice')
  await a.send(roomId, {
    sender: alice,
    type: 'm.room.name',
    state_key: '',
    content: { name: evil },
  })
  const message = await a.say(alice, roomId, evil)
  const odd = await a.send(roomId, {
    sender: alice,
    type: evil,
    state_key: evil,
    content: { [evil]: evil },
  })
  await world.settle()
  const views = [
    'rooms',
    `rooms/${encode(roomId)}`,
    `events/${encode(message)}`,
    `events/${encode(odd)}`,
  ]
  for (const view of views) {
    const { status, text } = await askAdmin(a, `views/${view}`)
    assert.equal(status, 200)
    assert.ok(!text.includes('<img'), view)
    assert.ok(text.includes('&lt;img src=x onerror='), view)
  }
})

test('rooms are listed page by page, each once', async () => {
  const { a, roomId } = await forkedRoom('11')
  const rooms = [roomId]
  for (let count = 0; count < 4; count += 1) {
    rooms.push(await a.createRoom(a.user('alice'), versionNamed('11')))
  }
  const seen: unknown[] = []
  for (let next: unknown = ''; next !== undefined; ) {
    const { body } = await askAdmin(a, `rooms?limit=2&after=${encode(String(next))}`)
    seen.push(...(body.rooms as { room_id: string }[]).map(({ room_id }) => room_id))
    next = body.next
  }
  assert.deepEqual(seen, rooms.toSorted())
  const { body } = await askAdmin(a, 'rooms')
  const told = (body.rooms as { room_id: string; joined_members: number; servers: number }[]).find(
    ({ room_id }) => room_id === roomId,
  )
  assert.deepEqual([told?.joined_members, told?.servers], [2, 2])
})

test('earlier events are a link away', async () => {
  const { world, a, roomId } = await forkedRoom('11')
  for (let count = 0; count < 110; count += 1) await a.say(a.user('alice'), roomId, `${count}`)
  await world.settle()
  const { text } = await askAdmin(a, `views/rooms/${encode(roomId)}`)
  assert.ok(!text.includes('creates the room'))
  const [, from = ''] = /[?;&]from=([^"]+)">Earlier events/.exec(text) ?? []
  const earlier = await askAdmin(a, `views/rooms/${encode(roomId)}?from=${from}`)
  assert.ok(earlier.text.includes('creates the room'))
})

test('of a large state each event is shown once, page by page, the room’s own first', async () => {
  const { world, a, roomId } = await forkedRoom('11')
  const [alice, type] = [a.user('alice'), 'org.example.seat']
  const first = await askAdmin(a, `views/rooms/${encode(roomId)}`)
  assert.ok(!first.text.includes('Events 1 to'))
  assert.ok(first.text.includes('and 2 memberships'))
  assert.ok(!first.text.includes('More of the state'))
  const own = stateRows(first.text)
  const seats = Array.from({ length: 2 * 200 - own.length + 1 }, (_, n) => `seat ${n}.`)
  for (const state_key of seats)
    await a.send(roomId, { sender: alice, type, state_key, content: {} })
  await a.send(roomId, {
    sender: alice,
    type: 'm.room.name',
    state_key: '',
    content: { name: 'The Hall' },
  })
  await world.settle()

  const pages: string[] = []
  for (let next: string | undefined = ''; next !== undefined; ) {
    const { text } = await askAdmin(a, `views/rooms/${encode(roomId)}${next}`)
    pages.push(text)
    next = /&amp;state_from=\d+(?=">More of the state)/.exec(text)?.[0].replace('&amp;', '?')
  }
  assert.deepEqual(
    pages.map((page) => stateRows(page).length),
    [200, 200, 2],
  )
  assert.ok(pages.every((page) => page.includes('<h1>The Hall</h1>')))
  assert.match(pages[0] ?? '', /Events 1 to 200 of 402/)
  assert.match(pages[2] ?? '', /Events 401 to 402 of 402/)
  const rows = pages.flatMap(stateRows)
  assert.equal(new Set(rows).size, rows.length)
  assert.deepEqual(rows.slice(0, own.length).toSorted(), own.toSorted())
  for (const seat of seats) assert.equal(rows.filter((row) => row.includes(seat)).length, 1, seat)
})

/** The rows of the table that a room's state is shown in. */
function stateRows(text: string): string[] {
  const [, state = ''] = /<h2>The state<\/h2>.*?<tbody>(.*?)<\/tbody>/s.exec(text) ?? []
  return state.match(/<tr>.*?<\/tr>/gs) ?? []
}

test('it is shown how the server is, and what waits there', async () => {
  const world = new World(1)
  const a = await world.addServer('a')
  const ask = adminAsker(viewRoutes, a.running.server)
  const calm = await world.time.await(ask('GET', 'views/server'))
  assert.match(calm.text, /Nothing is given up/)
  assert.equal(calm.text.split('<p>None.</p>').length, 4)
  await world.end()
})
