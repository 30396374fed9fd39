/**
 * What a room knows of a server that is dead: its messages come by others, its keys by notaries, its
 * history from who has it. And what was said and taken back while somebody was away.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Client } from '../rig/client.ts'
import { Federation, type Member } from './federation.ts'
import { gives } from './pairs.ts'
import { arriveAll, arrives, becomes, sameState, sendMany, serverOf } from './scenarios.ts'

const started = await Federation.start()
const skip = typeof started === 'string' ? started : false

function inTheFederation(name: string, work: (federation: Federation) => Promise<void>): void {
  test(name, async () => {
    assert.ok(typeof started !== 'string')
    await started.explaining(() => work(started))
  })
}

/** A room of the first, in which the others are, too; from version 12 on by their own users' names. */
async function inOneRoom(federation: Federation, members: readonly Member[]) {
  const [first, ...others] = await Promise.all(
    members.map((member) => federation.user(member, 'sailor')),
  )
  assert.ok(first)
  const roomId = await first.createRoom({ preset: 'public_chat' })
  for (const other of others) await other.join(roomId, [serverOf(first)])
  const all = [first, ...others]
  for (const one of all) for (const other of all) await becomes(one, roomId, other, 'join')
  return { people: all, roomId }
}

/** The content of an event as somebody reads it, once they can. */
async function contentOf(client: Client, roomId: string, eventId: string) {
  return (await arrives(client, roomId, eventId)).content
}

// They kill and cut, so that one goes after the other.
describe('deaths and absences', { skip, concurrency: 1 }, () => {
  for (const [origin, between, away] of [
    [1, 0, 2],
    [1, 2, 0],
    [0, 1, 2],
    [2, 0, 1],
  ] as const) {
    const who = `server ${origin} to ${away} by ${between}`
    inTheFederation(`a message of a dead server comes by another: ${who}`, async (federation) => {
      const { members } = federation
      const chosen = [members[origin], members[between], members[away]]
      const { people, roomId } = await inOneRoom(federation, chosen)
      const [alice, bob, carol] = people
      assert.ok(alice && bob && carol)
      await members[away].process.end('SIGKILL')
      const last = await sendMany(alice, roomId, 5)
      const topic = await alice
        .setState(roomId, 'm.room.topic', { topic: 'my last will' })
        .catch(() => undefined)
      await arriveAll(bob, roomId, last)
      if (topic !== undefined) await arrives(bob, roomId, topic)
      await members[origin].process.end('SIGKILL')
      await members[away].process.start()
      const told = await bob.send(roomId, 'she is no more')
      await arriveAll(carol, roomId, [...last, told])
      assert.deepEqual(await carol.stateContent(roomId, 'm.room.topic'), {
        topic: 'my last will',
      })
      await members[origin].process.start()
      await arrives(alice, roomId, await carol.send(roomId, 'so you live'))
      await sameState([alice, bob, carol], roomId)
    })
  }

  for (const [notaryIndex, kind] of [
    [0, 'hansa'],
    [1, 'synapse'],
    [1, 'hansa'],
  ] as const) {
    const who = `a new ${kind} asks server ${notaryIndex}`
    inTheFederation(`keys and history of a dead server: ${who}`, async (federation) => {
      const notary = federation.members[notaryIndex]
      const dying = await federation.add('hansa')
      const newcomer = await federation.add(kind, { notaries: [notary] })
      const { people, roomId } = await inOneRoom(federation, [dying, notary])
      const [alice, bob] = people
      assert.ok(alice && bob)
      const said = await sendMany(alice, roomId, 120)
      await arriveAll(bob, roomId, said)
      await dying.process.end('SIGKILL')
      // The newcomer has never heard of the dead server, whose are the room and all that was said.
      const carol = await federation.user(newcomer, 'carol')
      await carol.join(roomId, [serverOf(bob)])
      await becomes(bob, roomId, carol, 'join')
      await arriveAll(carol, roomId, said)
      await arrives(bob, roomId, await carol.send(roomId, 'what a story'))
      await arrives(carol, roomId, await bob.send(roomId, 'is it not'))
      for (const member of [dying, newcomer]) await member.process.end()
    })
  }

  inTheFederation(
    'each is the notary of another for a living and a dead third',
    async (federation) => {
      const { members } = federation
      const third = await federation.add('hansa')
      const name = third.process.serverName
      const own = (await third.ask('GET', '/_matrix/key/v2/server')).body
      const [keyId = ''] = Object.keys(own.verify_keys as object)
      // Synapse fetches keys that are named, and gives those that it has where none is.
      const query = (member: Member) =>
        member.ask('GET', `/_matrix/key/v2/query/${encodeURIComponent(name)}`)
      const bulk = (member: Member) => {
        const criteria = { [keyId]: { minimum_valid_until_ts: Date.now() } }
        return member.ask('POST', '/_matrix/key/v2/query', { server_keys: { [name]: criteria } })
      }
      for (const isAlive of [true, false]) {
        if (!isAlive) await third.process.end('SIGKILL')
        for (const member of members) {
          for (const ask of [bulk, query]) {
            const { status, body } = await ask(member)
            assert.equal(status, 200)
            const [answer, ...more] = body.server_keys as readonly Record<string, object>[]
            assert.deepEqual(more, [])
            assert.equal(answer?.server_name, name)
            assert.deepEqual(answer?.verify_keys, own.verify_keys)
            assert.deepEqual(
              Object.keys(answer?.signatures ?? {}).toSorted(),
              [name, member.process.serverName].toSorted(),
            )
          }
        }
      }
    },
  )

  for (const [away, speaker] of [
    [1, 0],
    [0, 1],
    [2, 1],
  ] as const) {
    const who = `server ${away} hears of server ${speaker}`
    inTheFederation(`what is taken back before it is heard: ${who}`, async (federation) => {
      const { members } = federation
      const { people, roomId } = await inOneRoom(federation, [members[speaker], members[away]])
      const [alice, bob] = people
      assert.ok(alice && bob)
      await members[away].process.end('SIGKILL')
      const secret = await alice.send(roomId, 'a slip of the tongue')
      const kept = await alice.send(roomId, 'as I said')
      const redaction = await alice.redact(roomId, secret)
      await members[away].process.start()
      await arriveAll(bob, roomId, [secret, kept, redaction])
      await gives('it is redacted', async () => {
        const { body } = await contentOf(bob, roomId, secret)
        return body === undefined
      })
      assert.equal((await contentOf(bob, roomId, kept)).body, 'as I said')
    })
  }

  for (const [judge, speaker] of [
    [1, 0],
    [0, 1],
    [2, 1],
  ] as const) {
    const who = `server ${speaker} bans a user of ${judge}`
    inTheFederation(`what is said beyond a cut by who is banned: ${who}`, async (federation) => {
      const { members } = federation
      const [home, other] = [members[speaker], members[judge]]
      const { people, roomId } = await inOneRoom(federation, [home, other])
      const [alice, bob] = people
      assert.ok(alice && bob)
      const friend = await federation.user(other, 'friend')
      await friend.join(roomId)
      await becomes(alice, roomId, friend, 'join')
      federation.cut()
      const evil = await bob.send(roomId, 'evil')
      const good = await friend.send(roomId, 'good')
      await alice.member('ban', roomId, bob.userId)
      federation.heal()
      await becomes(friend, roomId, bob, 'ban')
      const answer = await alice.send(roomId, 'who is there?')
      await arriveAll(friend, roomId, [answer])
      await arrives(alice, roomId, good)
      await arrives(alice, roomId, await friend.send(roomId, 'me'))
      // It is in the graph, and shown to nobody where the ban came first; at home it was said before it.
      const shown = (await alice.history(roomId, 50)).map(({ event_id }) => event_id)
      assert.ok(!shown.includes(evil), 'what was soft-failed is not shown')
      await arrives(friend, roomId, evil)
      await sameState([alice, friend], roomId)
    })
  }
})
