/**
 * What other servers are given of what a user said who wished it to be forgotten: those that come after
 * that, and those that were there.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3accountdeactivate
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SimulatedClient } from './simulation/client.ts'
import { World } from './simulation/world.ts'

const encode = encodeURIComponent

interface Shown {
  readonly type: string
  readonly sender: string
  readonly content: { readonly body?: string }
}

/** The messages of a user in a room, as another is shown them, the latest first. */
async function messagesOf(
  reader: SimulatedClient,
  room: string,
  sender: string,
): Promise<(string | undefined)[]> {
  const { world } = reader.server
  const target = `/v3/rooms/${encode(room)}/messages?dir=b&limit=100`
  const { chunk } = await world.time.await(reader.call('GET', target))
  return (chunk as Shown[])
    .filter((event) => event.type === 'm.room.message' && event.sender === sender)
    .map(({ content }) => content.body)
}

for (const [when, erase, expected] of [
  ['before it was said', true, ['a secret']],
  ['after it was said, and nobody wished it away', false, ['a secret']],
  ['after it was wished away', true, [undefined]],
] as const) {
  test(`a server that comes ${when} is given ${expected}`, async (t) => {
    const world = new World(1)
    t.after(() => world.end())
    const run = <T>(promise: Promise<T>) => world.time.await(promise)
    const [here, there] = [await world.addServer('here'), await world.addServer('there')]
    const [alice, erin] = [await here.register('alice'), await here.register('erin')]
    const bob = await there.register('bob')
    const room = await run(alice.createRoom({ preset: 'public_chat' }))
    await run(erin.join(room, []))
    const isEarly = when.startsWith('before')
    if (isEarly) await run(bob.join(room, [here.name]))
    await run(erin.send(room, 'a secret'))
    await world.settle(10_000)
    const auth = { type: 'm.login.password', password: 'secret of a simulated user' }
    await run(erin.call('POST', '/v3/account/deactivate', { auth, erase }))
    await world.settle(10_000)
    if (!isEarly) await run(bob.join(room, [here.name]))
    await world.settle(60_000)
    // A page may have to be fetched from the other server first.
    await messagesOf(bob, room, erin.userId)
    await world.settle(60_000)
    assert.deepEqual(await messagesOf(bob, room, erin.userId), [...expected])
    // Who was there sees it still.
    assert.deepEqual(await messagesOf(alice, room, erin.userId), ['a secret'])
  })
}
