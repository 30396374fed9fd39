/**
 * Spaces whose rooms are spread over servers, each of which knows only some of them.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SimulatedClient } from './simulation/client.ts'
import type { Answer } from './simulation/client-calls.ts'
import type { SimulatedServer } from './simulation/simulated-server.ts'
import { World } from './simulation/world.ts'

interface Tree {
  readonly rooms: readonly { readonly name: string; readonly room_id: string }[]
  readonly next_batch?: string
}

async function threeServers() {
  const world = new World(1)
  const servers = [
    await world.addServer('a'),
    await world.addServer('b'),
    await world.addServer('c'),
  ]
  const [a, b, c] = servers as [SimulatedServer, SimulatedServer, SimulatedServer]
  const [alice, bob, carol] = [
    await a.register('alice'),
    await b.register('bob'),
    await c.register('carol'),
  ]
  const wait = <T>(promise: Promise<T>) => world.time.await(promise)
  const make = async (client: SimulatedClient, name: string, options: Answer = {}) =>
    await wait(client.createRoom({ name, preset: 'public_chat', ...options }))
  const space = { creation_content: { type: 'm.space' } }
  const put = async (parent: string, child: string, via: SimulatedServer, content: Answer = {}) =>
    await wait(alice.setState(parent, 'm.space.child', { via: [via.name], ...content }, child))
  const tree = async (client: SimulatedClient, roomId: string, query = '') => {
    const path = `/v1/rooms/${encodeURIComponent(roomId)}/hierarchy?${query}`
    return (await wait(client.call('GET', path))) as unknown as Tree
  }
  const asked: string[] = []
  const { onRequest } = world.network
  world.network.onRequest = (from, to, request) => {
    if (request.target.includes('/hierarchy/') && request.target.includes('federation')) {
      asked.push(to)
    }
    onRequest?.(from, to, request)
  }
  return { world, a, b, c, alice, bob, carol, wait, make, space, put, tree, asked }
}

const names = ({ rooms }: Tree) => rooms.map(({ name }) => name)

test('rooms that only other servers know are in the tree, as far as somebody tells of them', async () => {
  const { world, a, b, c, alice, bob, carol, wait, make, space, put, tree, asked } =
    await threeServers()
  const root = await make(alice, 'root', { ...space })
  const under = await make(alice, 'under', { ...space })
  const leaf = await make(alice, 'leaf')
  const secret = await make(alice, 'secret', { preset: 'private_chat' })
  const ofC = await make(carol, 'of c')
  const ofB = await make(bob, 'of b')
  await put(root, under, a, { order: '1' })
  await put(root, secret, a, { order: '2' })
  await put(root, ofC, c, { order: '3' })
  await put(root, ofB, b, { order: '4' })
  await put(under, leaf, a)
  await put(under, root, a)
  await wait(bob.join(root, [a.name]))
  await world.settle()

  // Of `under`, which bob's server does not know, one request tells everything, `leaf` too.
  assert.deepEqual(names(await tree(bob, root)), ['root', 'under', 'leaf', 'of c', 'of b'])
  // To `a` for `under` and for `secret`, which nobody told bob's server that it cannot see.
  assert.deepEqual(asked.toSorted(), [a.address, a.address, c.address])
  // For a while the answers are remembered; a refusal is not.
  assert.deepEqual(names(await tree(bob, root)), ['root', 'under', 'leaf', 'of c', 'of b'])
  assert.equal(asked.length, 4)

  // Carol's server knows nothing of it and is told of `secret` that it need not ask.
  asked.length = 0
  const summary = `/v1/room_summary/${encodeURIComponent(root)}?via=${encodeURIComponent(a.name)}`
  const { name, num_joined_members, membership } = await wait(carol.call('GET', summary))
  assert.deepEqual([name, num_joined_members, membership], ['root', 2, 'leave'])
  assert.deepEqual(asked, [a.address])
  await world.end()
})

test('an invited user sees the room through the server that invited', async () => {
  const { world, bob, alice, wait, make, space, put, tree, a } = await threeServers()
  const root = await make(alice, 'root', { ...space, preset: 'private_chat' })
  const child = await make(alice, 'child', { preset: 'private_chat' })
  await put(root, child, a)
  await assert.rejects(tree(bob, root), { status: 403, errcode: 'M_FORBIDDEN' })
  await wait(alice.member('invite', root, bob.userId))
  // What is seen is what the user may see: the invite is to the space alone.
  assert.deepEqual(names(await tree(bob, root)), ['root'])
  await world.end()
})

test('a room that is restricted to a common room is shown, to those in that room', async () => {
  const { world, a, b, alice, bob, wait, make, space, put, tree } = await threeServers()
  const club = await make(alice, 'club')
  const allow = [{ type: 'm.room_membership', room_id: club }]
  const rules = { type: 'm.room.join_rules', content: { join_rule: 'restricted', allow } }
  const root = await make(alice, 'root', { ...space })
  const inner = await make(alice, 'inner', { initial_state: [rules] })
  await put(root, inner, a)
  await wait(bob.join(root, [a.name]))
  await world.settle()
  assert.deepEqual(names(await tree(bob, root)), ['root'])
  const brian = await b.register('brian')
  await wait(brian.join(club, [a.name]))
  await wait(brian.join(root, []))
  await world.settle()
  // Both ask through the same server, which may be told; who may see it is decided there.
  assert.deepEqual(names(await tree(brian, root)), ['root', 'inner'])
  assert.deepEqual(names(await tree(bob, root)), ['root'])
  await world.end()
})

test('what a server may not see it is not told', async () => {
  const { world, a, b, alice, wait, make, space, put, bob } = await threeServers()
  const root = await make(alice, 'root', { ...space })
  const acl = { type: 'm.room.server_acl', content: { allow: ['*'], deny: ['b.test'] } }
  const denied = await make(alice, 'denied', { initial_state: [acl] })
  await put(root, denied, a)
  const remote = b.running.server
  const level = async (roomId: string) => {
    const summary = `/v1/room_summary/${encodeURIComponent(roomId)}?via=${encodeURIComponent(a.name)}`
    return await wait(bob.call('GET', summary))
  }
  assert.equal(remote.serverName, b.name)
  assert.equal((await level(root)).name, 'root')
  await assert.rejects(level(denied), { status: 404, errcode: 'M_NOT_FOUND' })
  await world.end()
})

test('servers that do not answer only make the tree smaller', async () => {
  const { world, a, c, alice, bob, carol, wait, make, space, put, tree } = await threeServers()
  const root = await make(alice, 'root', { ...space })
  const ofC = await make(carol, 'of c')
  const near = await make(alice, 'near')
  await put(root, ofC, c, { order: '1' })
  await put(root, near, a, { order: '2' })
  await wait(bob.join(root, [a.name]))
  await world.settle()
  c.crash()
  assert.deepEqual(names(await tree(bob, root)), ['root', 'near'])
  await world.end()
})
