import assert from 'node:assert/strict'
import { test } from 'node:test'
import { at, roomClientWorld } from '../../test/room-client-world.ts'
import { reportRoutes } from '../admin-api/reports.ts'
import { serve } from '../http/serve.ts'
import { silentLog } from '../io/log.ts'
import { simulatedBody } from '../io/simulated/simulated-body.ts'
import type { UserId } from '../protocol/identifiers/ids.ts'
import type { Users } from '../users/users.ts'

/** Asks as the user whose name is the token; the only administrator is `root`. */
async function askAdmin(users: Users, method: string, path: string, token = 'root') {
  const handler = serve(
    reportRoutes,
    { users },
    {
      log: silentLog,
      checkAnswers: true,
      authenticateUser: async (name) => ({
        userId: `@${name}:hansa.test`,
        deviceId: '',
        guest: false,
        suspended: false,
      }),
      isAdmin: async (userId: UserId) => userId === '@root:hansa.test',
    },
  )
  const answer = await handler({
    method,
    target: `/_hansa/admin/v1/${path}`,
    headers: { authorization: `Bearer ${token}` },
    remoteAddress: '10.0.0.1',
    encrypted: true,
    signal: new AbortController().signal,
    ...simulatedBody(''),
  })
  const chunks: Uint8Array[] = []
  for await (const chunk of answer.body as Iterable<Uint8Array>) chunks.push(chunk)
  return { status: answer.status, body: JSON.parse(Buffer.concat(chunks).toString()) }
}

test('events, rooms and users are reported to the administrators', async (t) => {
  const world = await roomClientWorld(t)
  const [alice, bob] = [await world.user('alice'), await world.user('bob')]
  const room = await alice.createRoom()
  const event = await alice.say(room, 'bad')
  const reportEvent = at(room, `/report/${encodeURIComponent(event)}`)
  // One who is not in the room can report it, and users, but not what is said there.
  assert.equal(await bob.refused('POST', reportEvent, { reason: 'x' }), '404 M_NOT_FOUND')
  await bob.post(at(room, '/report'), { reason: 'the room' })
  await bob.post(`/users/${encodeURIComponent(alice.userId)}/report`, { reason: 'her' })
  await alice.post(reportEvent)
  const reported_ts = world.time.clock().now()
  const { body } = await askAdmin(world.users, 'GET', 'reports')
  const one = { reported_ts }
  assert.deepEqual(body, {
    reports: [
      { ...one, number: 3, reporter: alice.userId, room_id: room, event_id: event, reason: '' },
      { ...one, number: 2, reporter: bob.userId, user_id: alice.userId, reason: 'her' },
      { ...one, number: 1, reporter: bob.userId, room_id: room, reason: 'the room' },
    ],
  })
  const page = await askAdmin(world.users, 'GET', 'reports?limit=2')
  assert.equal(page.body.next, 2)
  const rest = await askAdmin(world.users, 'GET', `reports?limit=2&from=${page.body.next}`)
  assert.equal(rest.body.reports[0].number, 1)
  assert.equal((await askAdmin(world.users, 'DELETE', 'reports/2')).status, 200)
  assert.equal((await askAdmin(world.users, 'DELETE', 'reports/2')).status, 404)
  assert.equal((await askAdmin(world.users, 'GET', 'reports', 'alice')).status, 403)
})

test('what is not there cannot be reported, nor anything without end', async (t) => {
  const world = await roomClientWorld(t)
  const alice = await world.user('alice')
  const reason = { reason: 'x' }
  assert.equal(await alice.refused('POST', at('!none:x', '/report'), reason), '404 M_NOT_FOUND')
  const nobody = `/users/${encodeURIComponent('@none:hansa.test')}/report`
  assert.equal(await alice.refused('POST', nobody, reason), '404 M_NOT_FOUND')
  const room = await alice.createRoom()
  assert.equal(await alice.refused('POST', at(room, '/report'), {}), '400 M_MISSING_PARAM')
  const elsewhere = `/users/${encodeURIComponent('@eve:evil.org')}/report`
  for (let count = 0; count < 500; count++) await alice.post(elsewhere, reason)
  assert.equal(await alice.refused('POST', elsewhere, reason), '429 M_LIMIT_EXCEEDED')
})
