/**
 * Invites across servers of users who do not want them.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Refused } from './simulation/client-calls.ts'
import { World } from './simulation/world.ts'

test('who blocks invites is not invited by users of other servers', async () => {
  const world = new World(1)
  const [a, b] = [await world.addServer('a'), await world.addServer('b')]
  const [alice, bob] = [await a.register('alice'), await b.register('bob')]
  const wait = <T>(promise: Promise<T>) => world.time.await(promise)
  const { room_id } = await wait(alice.call('POST', '/v3/createRoom', {}))
  const data = `/v3/user/${encodeURIComponent(bob.userId)}/account_data`
  const block = (action: object) =>
    wait(bob.call('PUT', `${data}/m.invite_permission_config`, action))
  const invite = () =>
    wait(
      alice.call('POST', `/v3/rooms/${encodeURIComponent(String(room_id))}/invite`, {
        user_id: bob.userId,
      }),
    )
  await block({ default_action: 'block' })
  const isBlocked = (error: unknown) =>
    error instanceof Refused && error.status === 403 && error.errcode === 'M_INVITE_BLOCKED'
  await assert.rejects(invite(), isBlocked)
  await block({})
  await invite()
  await world.end()
})
