/**
 * Invites and knocks across servers: taken up, refused, taken back, by whom that is allowed.
 *
 * @module
 */

import assert from 'node:assert/strict'
import type { Client, ClientEvent, Json } from '../rig/client.ts'
import { Federation } from './federation.ts'
import { gives, inEachPair, type Pair, sees, twoInRoom } from './pairs.ts'
import { arrives, becomes, invited, refused, sameState, serverOf } from './scenarios.ts'

const started = await Federation.start()

const encode = encodeURIComponent

/** The rooms of one kind in a whole sync, with those that were left. */
async function synced(client: Client, kind: 'invite' | 'knock' | 'leave') {
  const filter = encode(JSON.stringify({ room: { include_leave: true } }))
  const answer = await client.call('GET', `/v3/sync?filter=${filter}`)
  const rooms = (answer.rooms ?? {}) as Record<string, Record<string, Json>>
  return rooms[kind] ?? {}
}

async function isIn(client: Client, kind: 'invite' | 'knock' | 'leave', roomId: string) {
  return (await synced(client, kind))[roomId] !== undefined
}

/** Alice at home and Bob away, who share no room. */
async function strangers({ federation, home, away }: Pair) {
  return {
    alice: await federation.user(home, 'alice'),
    bob: await federation.user(away, 'bob'),
  }
}

inEachPair(started, {
  'an invite shows the room, and is taken back by who gave it': async (pair) => {
    const { alice, bob } = await strangers(pair)
    const roomId = await alice.createRoom({ preset: 'private_chat', name: 'Secrets' })
    await alice.member('invite', roomId, bob.userId)
    await invited(bob, roomId)
    const { invite_state } = (await synced(bob, 'invite'))[roomId] as {
      invite_state: { events: ClientEvent[] }
    }
    const shown = new Map(invite_state.events.map((event) => [event.type, event]))
    assert.equal(shown.get('m.room.create')?.sender, alice.userId)
    assert.deepEqual(shown.get('m.room.name')?.content, { name: 'Secrets' })
    assert.equal(shown.get('m.room.join_rules')?.content.join_rule, 'invite')
    await alice.member('kick', roomId, bob.userId, 'a mistake')
    await gives('the invite is gone', async () => !(await isIn(bob, 'invite', roomId)))
    await refused(bob.join(roomId, [serverOf(alice)]))
    // And given again.
    await alice.member('invite', roomId, bob.userId)
    await invited(bob, roomId)
    await bob.join(roomId)
    await becomes(alice, roomId, bob, 'join')
  },

  'an invite is refused again and again': async (pair) => {
    const { alice, bob } = await strangers(pair)
    const roomId = await alice.createRoom({ preset: 'private_chat' })
    for (let round = 0; round < 3; round += 1) {
      await alice.member('invite', roomId, bob.userId)
      await gives('the invite', () => isIn(bob, 'invite', roomId))
      await bob.leave(roomId)
      await becomes(alice, roomId, bob, 'leave')
      assert.ok(!(await isIn(bob, 'invite', roomId)))
    }
  },

  'an invite to a room that its maker has left is refused': async (pair) => {
    const { alice, bob } = await strangers(pair)
    const roomId = await alice.createRoom({ preset: 'private_chat' })
    await alice.member('invite', roomId, bob.userId)
    await invited(bob, roomId)
    await alice.leave(roomId)
    await bob.leave(roomId)
    await gives('the invite is gone', async () => !(await isIn(bob, 'invite', roomId)))
  },

  'an invite says that it is for two': async (pair) => {
    const { alice, bob } = await strangers(pair)
    const roomId = await alice.createRoom({
      preset: 'trusted_private_chat',
      is_direct: true,
      invite: [bob.userId],
    })
    await invited(bob, roomId)
    const { invite_state } = (await synced(bob, 'invite'))[roomId] as {
      invite_state: { events: ClientEvent[] }
    }
    const own = invite_state.events.find(({ state_key }) => state_key === bob.userId)
    assert.equal(own?.content.is_direct, true)
    await bob.join(roomId)
    await becomes(alice, roomId, bob, 'join')
    // A client that joins is told so still, by what its invite said.
    await sees(bob, 'what the invite said', ({ rooms }) => {
      const { timeline, state } = rooms?.join?.[roomId] ?? {}
      const events = [...(timeline?.events ?? []), ...(state?.events ?? [])]
      const join = events.find(({ state_key }) => state_key === bob.userId)
      return (join?.unsigned?.prev_content as Json | undefined)?.is_direct === true
    })
  },

  'a second of a server is invited to where the first is': async (pair) => {
    const { alice, bob, roomId, federation, away } = await twoInRoom(pair, {
      preset: 'private_chat',
      initial_state: [
        { type: 'm.room.join_rules', state_key: '', content: { join_rule: 'public' } },
      ],
    })
    const rule = await alice.setState(roomId, 'm.room.join_rules', { join_rule: 'invite' })
    await arrives(bob, roomId, rule)
    const [carol, dave] = [
      await federation.user(away, 'carol'),
      await federation.user(away, 'dave'),
    ]
    for (const one of [carol, dave]) await alice.member('invite', roomId, one.userId)
    for (const one of [carol, dave]) await invited(one, roomId)
    await carol.join(roomId)
    await dave.leave(roomId)
    for (const one of [alice, bob]) {
      await becomes(one, roomId, carol, 'join')
      await becomes(one, roomId, dave, 'leave')
    }
    await sameState([alice, bob, carol], roomId)
  },

  'who was banned is let in again by an invite': async (pair) => {
    const { alice, bob, roomId } = await twoInRoom(pair)
    await alice.member('ban', roomId, bob.userId)
    await gives('Bob is out', () => isIn(bob, 'leave', roomId))
    await refused(alice.member('invite', roomId, bob.userId), 'M_BAD_STATE')
    await refused(bob.join(roomId, [serverOf(alice)]), 'M_BAD_STATE')
    await alice.member('unban', roomId, bob.userId)
    await alice.member('invite', roomId, bob.userId)
    await invited(bob, roomId)
    await bob.join(roomId, [serverOf(alice)])
    await becomes(alice, roomId, bob, 'join')
    await arrives(alice, roomId, await bob.send(roomId, 'forgiven'))
  },

  'a knock is taken back, given again, and refused': async (pair) => {
    const { alice, bob } = await strangers(pair)
    const roomId = await alice.createRoom({
      initial_state: [
        { type: 'm.room.join_rules', state_key: '', content: { join_rule: 'knock' } },
      ],
      name: 'Behind the door',
    })
    const via = [serverOf(alice)]
    await bob.knock(roomId, via)
    await becomes(alice, roomId, bob, 'knock')
    const { knock_state } = (await synced(bob, 'knock'))[roomId] as {
      knock_state: { events: ClientEvent[] }
    }
    const name = knock_state.events.find(({ type }) => type === 'm.room.name')
    assert.deepEqual(name?.content, { name: 'Behind the door' })
    // Synapse takes back a knock without a word to the room.
    if (pair.away.kind !== 'synapse') {
      await bob.leave(roomId)
      await becomes(alice, roomId, bob, 'leave')
      await bob.knock(roomId, via)
      await becomes(alice, roomId, bob, 'knock')
    }
    await alice.member('kick', roomId, bob.userId, 'not today')
    // And it does not tell the server of who knocked that they are refused, nor hears of it.
    if (pair.home.kind !== 'synapse' && pair.away.kind !== 'synapse') {
      await gives('the knock is gone', async () => !(await isIn(bob, 'knock', roomId)))
    }
    await refused(bob.join(roomId, via))
    await alice.member('ban', roomId, bob.userId)
    await refused(bob.knock(roomId, via))
  },

  'an alias of all scripts': async (pair) => {
    const { alice, bob } = await strangers(pair)
    const name = `Ĥånśà-🐎-${alice.userId.slice(1).split(':')[0]}`
    const roomId = await alice.createRoom({ preset: 'public_chat' })
    const alias = `#${name}:${serverOf(alice)}`
    await alice.call('PUT', `/v3/directory/room/${encode(alias)}`, { room_id: roomId })
    assert.equal(await bob.join(alias), roomId)
    await becomes(alice, roomId, bob, 'join')
  },
})
