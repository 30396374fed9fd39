/** Operations at the paths where older clients ask for them. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { at, roomClientWorld } from '../../test/room-client-world.ts'

test('what is asked for at an older path is answered as it is at its place', async (t) => {
  const { user, ask } = await roomClientWorld(t)
  const alice = await user('alice')
  const roomId = await alice.createRoom({ preset: 'public_chat' })
  const eventId = await alice.say(roomId, 'hello')
  const room = encodeURIComponent(roomId)
  const older: Record<string, string> = {
    '/r0/account/whoami': '/v3/account/whoami',
    [`/r0${at(roomId, '/messages?dir=b&limit=1')}`]: `/v3${at(roomId, '/messages?dir=b&limit=1')}`,
    [`/unstable/rooms/${room}/relations/${encodeURIComponent(eventId)}`]: `/v1/rooms/${room}/relations/${encodeURIComponent(eventId)}`,
    [`/unstable/org.matrix.msc2946/rooms/${room}/hierarchy`]: `/v1/rooms/${room}/hierarchy`,
    [`/unstable/im.nheko.summary/summary/${room}`]: `/v1/room_summary/${room}`,
    [`/unstable/org.matrix.msc3030/rooms/${room}/timestamp_to_event?ts=0&dir=f`]: `/v1/rooms/${room}/timestamp_to_event?ts=0&dir=f`,
    [`/unstable/uk.tcpip.msc4133/profile/${alice.userId}`]: `/v3/profile/${alice.userId}`,
  }
  for (const [path, current] of Object.entries(older)) {
    const expected = await alice.get(`/_matrix/client${current}`)
    assert.deepEqual(await alice.get(`/_matrix/client${path}`), expected, path)
  }
  // Slashes and the like in identifiers arrive as they are.
  const alias = await ask('GET', '/_matrix/client/r0/directory/room/%23a%2Fr0%2Fb%3Ahansa.test')
  assert.deepEqual([alias.status, alias.body.errcode], [404, 'M_NOT_FOUND'])
  const unknown = await ask('GET', '/_matrix/client/r0/nothing', { token: alice.token })
  assert.deepEqual([unknown.status, unknown.body.errcode], [404, 'M_UNRECOGNIZED'])
  const method = await ask('DELETE', '/_matrix/client/r0/account/whoami', { token: alice.token })
  assert.deepEqual([method.status, method.body.errcode], [405, 'M_UNRECOGNIZED'])
  const nobody = await ask('GET', '/_matrix/client/r0/account/whoami')
  assert.equal(nobody.body.errcode, 'M_MISSING_TOKEN')
})
