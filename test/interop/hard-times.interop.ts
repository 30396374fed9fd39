/**
 * Three servers in one room through hard times: many messages, servers that stop and are killed,
 * cuts with conflicting state on each side. After all of it the three show the same state.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import type { Client } from '../rig/client.ts'
import { Federation } from './federation.ts'
import { arriveAll, arrives, becomes, invited, refused, sameState, sendMany } from './scenarios.ts'

const started = await Federation.start()
const skip = typeof started === 'string' ? started : false

after(async () => {
  if (typeof started !== 'string') await started.end()
})

const versions = (process.env.HANSA_TEST_VERSIONS ?? '6,10,11,12').split(',')
const many = Number(process.env.HANSA_TEST_MESSAGES ?? '1000')

interface Together {
  readonly federation: Federation
  readonly people: readonly [Client, Client, Client]
  readonly roomId: string
}

/** A room of a version with a person on each of the three servers, each with power. */
async function together(version: string): Promise<Together> {
  assert.ok(typeof started !== 'string')
  const federation = started
  const [first, second, third] = federation.members
  assert.ok(first && second && third)
  const alice = await federation.user(second, 'alice')
  const bob = await federation.user(first, 'bob')
  const carol = await federation.user(third, 'carol')
  const roomId = await alice.createRoom({ preset: 'public_chat', room_version: version })
  for (const person of [bob, carol]) await person.join(roomId, [second.process.serverName])
  for (const person of [bob, carol]) await becomes(alice, roomId, person, 'join')
  const levels = await alice.stateContent(roomId, 'm.room.power_levels')
  const users = { ...(levels.users as object), [bob.userId]: 100, [carol.userId]: 75 }
  const raised = await alice.setState(roomId, 'm.room.power_levels', { ...levels, users })
  for (const person of [bob, carol]) await arrives(person, roomId, raised)
  return { federation, people: [alice, bob, carol], roomId }
}

async function withLogs(federation: Federation, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    console.error(federation.logs())
    throw error
  }
}

function serverOf({ userId }: Client): string {
  return userId.slice(userId.indexOf(':') + 1)
}

function fail(): never {
  assert.fail('there are three servers')
}

for (const version of versions) {
  test(`version ${version}: ${many} messages each way`, { skip }, async () => {
    const { federation, people, roomId } = await together(version)
    await withLogs(federation, async () => {
      const sent = (await Promise.all(people.map((one) => sendMany(one, roomId, many)))).flat()
      for (const person of people) await arriveAll(person, roomId, sent, 180_000)
    })
  })

  for (const [how, index] of [
    ['SIGSTOP', 2],
    ['SIGKILL', 2],
    ['SIGSTOP', 0],
    ['SIGKILL', 0],
  ] as const) {
    test(`version ${version}: server ${index} is away by ${how} and catches up`, {
      skip,
    }, async () => {
      const { federation, people, roomId } = await together(version)
      await withLogs(federation, async () => {
        const [alice, bob, carol] = people
        const { process } = federation.members[index] ?? {}
        assert.ok(process)
        const others = index === 0 ? [alice, carol] : [alice, bob]
        const away = index === 0 ? bob : carol
        if (how === 'SIGSTOP') process.signal('SIGSTOP')
        else await process.end('SIGKILL')
        const sent: string[] = []
        for (const other of others) sent.push(...(await sendMany(other, roomId, 30)))
        if (how === 'SIGSTOP') process.signal('SIGCONT')
        else await process.start()
        sent.push(await alice.send(roomId, 'are you back?'))
        await arriveAll(away, roomId, sent, 60_000)
        const back = await away.send(roomId, 'I am back')
        for (const other of others) await arrives(other, roomId, back)
        await sameState(people, roomId)
      })
    })
  }

  test(`version ${version}: conflicting levels, bans and topics on all sides of a cut`, {
    skip,
  }, async () => {
    const { federation, people, roomId } = await together(version)
    await withLogs(federation, async () => {
      const [alice, bob, carol] = people
      const victim = await federation.user(federation.members[0] ?? fail(), 'victim')
      await victim.join(roomId, [serverOf(alice)])
      for (const person of people) await becomes(person, roomId, victim, 'join')
      const levels = await alice.stateContent(roomId, 'm.room.power_levels')
      federation.cut()
      for (const person of people) {
        await person.setState(roomId, 'm.room.topic', { topic: `the topic of ${person.userId}` })
        await person.send(roomId, 'alone')
      }
      const lower = { ...(levels.users as object), [carol.userId]: 0 }
      await alice.setState(roomId, 'm.room.power_levels', { ...levels, users: lower })
      await bob.setState(roomId, 'm.room.power_levels', { ...levels, events_default: 1 })
      await carol.member('ban', roomId, victim.userId)
      await bob.setState(roomId, 'm.room.join_rules', { join_rule: 'invite' })
      await carol.setState(roomId, 'm.room.name', { name: 'mine' })
      federation.heal()
      for (const person of [alice, bob]) await person.send(roomId, 'together again')
      const merging = await alice.send(roomId, 'and this merges')
      for (const person of people) await arrives(person, roomId, merging)
      await bob.send(roomId, 'and this')
      await sameState(people, roomId)
    })
  })

  test(`version ${version}: knocking`, { skip: skip || Number(version) < 7 }, async () => {
    const { federation, people } = await together(version)
    await withLogs(federation, async () => {
      // Each knocks on a room that only the other two servers are in, through either of them.
      for (const [hostIndex, friendIndex, knockerIndex] of [
        [1, 0, 2],
        [0, 1, 2],
        [2, 1, 0],
      ] as const) {
        const [host, friend] = [people[hostIndex], people[friendIndex]]
        const knocker = await federation.user(federation.members[knockerIndex] ?? fail(), 'knocker')
        const roomId = await host.createRoom({ preset: 'public_chat', room_version: version })
        await friend.join(roomId, [serverOf(host)])
        await becomes(host, roomId, friend, 'join')
        await arrives(
          friend,
          roomId,
          await host.setState(roomId, 'm.room.join_rules', { join_rule: 'knock' }),
        )
        await refused(knocker.join(roomId, [serverOf(host)]))
        await knocker.knock(roomId, [serverOf(friend)])
        await becomes(host, roomId, knocker, 'knock')
        await host.member('invite', roomId, knocker.userId)
        await invited(knocker, roomId)
        await knocker.join(roomId, [serverOf(host)])
        await becomes(friend, roomId, knocker, 'join')
      }
    })
  })

  test(`version ${version}: restricted joins`, { skip: skip || Number(version) < 8 }, async () => {
    const { federation, people, roomId: lobby } = await together(version)
    await withLogs(federation, async () => {
      const [alice, bob, carol] = people
      for (const [host, guest] of [
        [alice, bob],
        [bob, carol],
        [carol, bob],
      ] as const) {
        const server = serverOf(host)
        const inner = await host.createRoom({
          room_version: version,
          initial_state: [
            {
              type: 'm.room.join_rules',
              state_key: '',
              content: {
                join_rule: 'restricted',
                allow: [{ type: 'm.room_membership', room_id: lobby }],
              },
            },
          ],
        })
        await guest.join(inner, [server])
        await becomes(host, inner, guest, 'join')
        await arrives(host, inner, await guest.send(inner, 'let in'))
        const stranger = await federation.user(federation.members[2] ?? fail(), 'stranger')
        await refused(stranger.join(inner, [server]))
      }
    })
  })
}
