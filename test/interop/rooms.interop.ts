/**
 * Rooms of two or three servers: who is kept out, who leaves and comes back, what follows a room, and
 * rooms of much state.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { encodeBase64 } from '../../src/protocol/base64.ts'
import { canonicalJson } from '../../src/protocol/canonical-json.ts'
import { signingKeyOf } from '../../src/protocol/ed25519.ts'
import type { Client, Json } from '../rig/client.ts'
import { Federation, type Member } from './federation.ts'
import { gives, inEachPair, type Pair, twoInRoom } from './pairs.ts'
import {
  arriveAll,
  arrives,
  becomes,
  invited,
  refused,
  sameState,
  sendMany,
  serverOf,
} from './scenarios.ts'

const started = await Federation.start()

const encode = encodeURIComponent

/** Carol from the third server comes into a room of two, too. */
async function threeInRoom(pair: Pair, options: Json = {}) {
  const two = await twoInRoom(pair, options)
  const { federation, third, alice, bob, roomId } = two
  const carol = await federation.user(third, 'carol')
  await carol.join(roomId, [serverOf(alice)])
  for (const client of [alice, bob]) await becomes(client, roomId, carol, 'join')
  return { ...two, carol }
}

/** The bodies of a room's newest messages. */
async function bodies(client: Client, roomId: string): Promise<unknown[]> {
  return (await client.history(roomId, 50)).map(({ content }) => content.body)
}

inEachPair(started, {
  'a server is banned by an ACL, and let in again': async (pair) => {
    const { alice, bob, carol, roomId, third } = await threeInRoom(pair)
    const acl = (deny: readonly string[]) =>
      alice.setState(roomId, 'm.room.server_acl', {
        allow: ['*'],
        deny,
        allow_ip_literals: true,
      })
    const host = third.process.serverName.split(':')[0] ?? ''
    const ban = await acl([host])
    for (const client of [bob, carol]) await arrives(client, roomId, ban)
    // Its own clients may speak on and come in; the others hear none of it.
    const late = await pair.federation.user(third, 'late')
    await late.join(roomId)
    await carol.send(roomId, 'does anybody hear me?')
    await arrives(bob, roomId, await alice.send(roomId, 'after the ban'))
    await arrives(alice, roomId, await bob.send(roomId, 'and more'))
    for (const client of [alice, bob]) {
      assert.ok(!(await bodies(client, roomId)).includes('does anybody hear me?'))
      assert.equal(await client.membership(roomId, late.userId), undefined)
    }
    await arrives(bob, roomId, await acl([]))
    await gives('Carol is heard again', async () => {
      await carol.send(roomId, 'again')
      const heard = [await bodies(alice, roomId), await bodies(bob, roomId)]
      return heard.every((all) => all.includes('again'))
    })
    await sameState([alice, bob, carol], roomId)
  },

  'a server that an ACL bans does not come in': async (pair) => {
    const { alice, bob, roomId, federation, third } = await twoInRoom(pair)
    const host = third.process.serverName.split(':')[0] ?? ''
    const content = { allow: ['*'], deny: [host], allow_ip_literals: true }
    await arrives(bob, roomId, await alice.setState(roomId, 'm.room.server_acl', content))
    const carol = await federation.user(third, 'carol')
    for (const via of [alice, bob]) await refused(carol.join(roomId, [serverOf(via)]))
    assert.equal(await alice.membership(roomId, carol.userId), undefined)
  },

  'leaving, and coming back': async (pair) => {
    const { alice, bob, roomId } = await twoInRoom(pair)
    const before = await sendMany(alice, roomId, 5)
    await bob.leave(roomId)
    await becomes(alice, roomId, bob, 'leave')
    const between = await sendMany(alice, roomId, 30)
    const topic = await alice.setState(roomId, 'm.room.topic', { topic: 'meanwhile' })
    await refused(bob.send(roomId, 'not in'))
    await bob.join(roomId, [serverOf(alice)])
    await becomes(alice, roomId, bob, 'join')
    assert.deepEqual(await bob.stateContent(roomId, 'm.room.topic'), { topic: 'meanwhile' })
    const after = await alice.send(roomId, 'welcome back')
    await arriveAll(bob, roomId, [...before, ...between, topic, after])
    await arrives(alice, roomId, await bob.send(roomId, 'it is good to be back'))
    await sameState([alice, bob], roomId)
  },

  'forgetting, and coming back': async (pair) => {
    const { alice, bob, roomId } = await twoInRoom(pair)
    const before = await sendMany(alice, roomId, 5)
    await bob.leave(roomId)
    await bob.call('POST', `/v3/rooms/${encode(roomId)}/forget`, {})
    await becomes(alice, roomId, bob, 'leave')
    await refused(bob.call('GET', `/v3/rooms/${encode(roomId)}/messages?dir=b`), 'M_NOT_FOUND')
    const between = await sendMany(alice, roomId, 15)
    await alice.member('invite', roomId, bob.userId)
    await invited(bob, roomId)
    await bob.join(roomId)
    await becomes(alice, roomId, bob, 'join')
    await arriveAll(bob, roomId, [...before, ...between, await alice.send(roomId, 'hello')])
    await arrives(alice, roomId, await bob.send(roomId, 'who are you?'))
    await sameState([alice, bob], roomId)
  },

  'a room of 300 events of state': async (pair) => {
    const crates = Array.from({ length: 300 }, (_, index) => ({
      type: 'org.example.crate',
      state_key: `crate ${index}`,
      content: { index },
    }))
    // Half of it is there before Bob comes, and half comes to him.
    const { alice, bob, roomId } = await twoInRoom(pair, { initial_state: crates.slice(0, 150) })
    for (const { type, state_key, content } of crates.slice(150)) {
      await alice.setState(roomId, type, content, state_key)
    }
    await gives('all crates are there', async () => {
      const state = await bob.state(roomId)
      const found = state.filter(({ type }) => type === 'org.example.crate')
      const byKey = new Map(found.map(({ state_key, content }) => [state_key, content]))
      return crates.every(({ state_key, content }) => byKey.get(state_key)?.index === content.index)
    })
    const levels = await alice.stateContent(roomId, 'm.room.power_levels')
    const users = { ...(levels.users as object), [bob.userId]: 50 }
    const raised = await alice.setState(roomId, 'm.room.power_levels', { ...levels, users })
    await arrives(bob, roomId, raised)
    const changed = await bob.setState(roomId, 'org.example.crate', { index: -1 }, 'crate 7')
    await arrives(alice, roomId, changed)
    const state = await sameState([alice, bob], roomId)
    assert.ok(state.split('\n').length > 300)
    assert.equal(state.split('\n').filter((line) => line.includes(changed)).length, 1)
  },

  'an upgrade is followed': async (pair) => {
    const { alice, bob, roomId } = await twoInRoom(pair, { room_version: '10', name: 'Old' })
    const upgrade = `/v3/rooms/${encode(roomId)}/upgrade`
    const { replacement_room } = await alice.call('POST', upgrade, { new_version: '12' })
    const next = String(replacement_room)
    await gives('the tombstone is seen', async () => {
      const tombstone = await bob.stateContent(roomId, 'm.room.tombstone')
      return tombstone.replacement_room === next
    })
    await bob.join(next, [serverOf(alice)])
    await becomes(alice, next, bob, 'join')
    const create = await bob.stateContent(next, 'm.room.create')
    assert.equal((create.predecessor as Json).room_id, roomId)
    assert.deepEqual(await bob.stateContent(next, 'm.room.name'), { name: 'Old' })
    await arrives(alice, next, await bob.send(next, 'a new place'))
  },

  'a change of membership by an old power': async (pair) => {
    // Who is demoted on one server cannot ban from another, and who is kicked there is out here.
    const { alice, bob, carol, roomId } = await threeInRoom(pair)
    const levels = await alice.stateContent(roomId, 'm.room.power_levels')
    const at = (level: number) => ({
      ...levels,
      users: { ...(levels.users as object), [bob.userId]: level },
    })
    await arrives(bob, roomId, await alice.setState(roomId, 'm.room.power_levels', at(50)))
    await bob.member('kick', roomId, carol.userId)
    for (const client of [alice, carol]) await becomes(client, roomId, carol, 'leave')
    await arrives(bob, roomId, await alice.setState(roomId, 'm.room.power_levels', at(0)))
    await refused(bob.member('ban', roomId, carol.userId))
    await carol.join(roomId, [serverOf(bob)])
    for (const client of [alice, bob]) await becomes(client, roomId, carol, 'join')
    await sameState([alice, bob, carol], roomId)
  },

  'what a policy server refuses is shown to nobody': async (pair) => {
    const { alice, bob, roomId, federation } = await twoInRoom(pair)
    const more =
      'policy_server: {enabled: true, denied_words: [contraband], exempt_power_level: null}'
    const server = await federation.add('hansa', { more })
    const guard = await federation.user(server, 'guard')
    await guard.join(roomId, [serverOf(alice)])
    for (const one of [alice, bob]) await becomes(one, roomId, guard, 'join')
    const { body } = await server.ask('GET', '/.well-known/matrix/policy_server')
    const content = { via: server.process.serverName, public_keys: body.public_keys }
    const chosen = await alice.setState(roomId, 'm.room.policy', content)
    for (const one of [bob, guard]) await arrives(one, roomId, chosen)
    for (const [speaker, hearer] of [
      [alice, bob],
      [bob, alice],
    ] as const) {
      await speaker.send(roomId, 'some contraband').catch(() => undefined)
      const honest = await speaker.send(roomId, 'honest goods')
      for (const one of [hearer, guard]) await arrives(one, roomId, honest)
      for (const one of [hearer, guard]) {
        assert.ok(!(await bodies(one, roomId)).includes('some contraband'))
      }
    }
    await server.process.end()
  },

  'an invitation of an address becomes an invite': async ({ federation, home, away }) => {
    // The test is the identity server: it has the key that the invitation names.
    const alice = await federation.user(home, 'alice')
    const bob = await federation.user(away, 'bob')
    const key = signingKeyOf(new Uint8Array(32).fill(7))
    const public_key = encodeBase64(key.publicKey)
    const roomId = await alice.createRoom({
      preset: 'private_chat',
      room_version: '11',
      initial_state: [
        {
          type: 'm.room.third_party_invite',
          state_key: 'token1',
          content: { display_name: 'b…@e…', public_key, public_keys: [{ public_key }] },
        },
      ],
    })
    const message = { mxid: bob.userId, token: 'token1' }
    const signature = encodeBase64(key.sign(Buffer.from(canonicalJson(message))))
    const signed = { ...message, signatures: { 'is.test': { 'ed25519:0': signature } } }
    await bind(away, bob, {
      address: 'bob@example.org',
      medium: 'email',
      mxid: bob.userId,
      room_id: roomId,
      sender: alice.userId,
      signed,
    })
    await invited(bob, roomId)
    await bob.join(roomId, [serverOf(alice)])
    await becomes(alice, roomId, bob, 'join')
    await arrives(alice, roomId, await bob.send(roomId, 'thank you'))
  },
})

/** Tells a server, as an identity server does, that an address is its user's, who was invited by it. */
async function bind(server: Member, { userId }: Client, invite: Json): Promise<void> {
  const { medium, address } = invite
  const body = { medium, address, mxid: userId, invites: [invite] }
  // The spec says PUT; Synapse knows POST only.
  const method = server.kind === 'synapse' ? 'POST' : 'PUT'
  const answer = await server.ask(method, '/_matrix/federation/v1/3pid/onbind', body)
  assert.equal(answer.status, 200, JSON.stringify(answer.body))
}
