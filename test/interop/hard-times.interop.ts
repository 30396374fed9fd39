/**
 * Three servers in rooms through hard times: many messages, servers that stop and are killed, cuts
 * with conflicting state on each side. After all of it the three show the same state.
 *
 * Rooms of all versions go through the same stop or cut together, and are then looked at one by one.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import type { Client } from '../rig/client.ts'
import { Federation } from './federation.ts'
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
const skip = typeof started === 'string' ? started : false

const versions = (process.env.HANSA_TEST_VERSIONS ?? '6,10,11,12').split(',')

/** How many messages each server sends in each room. */
const many = Number(process.env.HANSA_TEST_MESSAGES ?? '1000')

/** People on the servers, in the order of the servers. */
type People = readonly [Client, Client, Client]

/** A room with a person on each of the three servers, each with power. */
interface Together {
  readonly version: string
  readonly people: People
  readonly roomId: string
}

function theFederation(): Federation {
  assert.ok(typeof started !== 'string')
  return started
}

/** A room of a version, made by a Hansa. */
async function together(version: string): Promise<Together> {
  const federation = theFederation()
  const [first, second, third] = federation.members
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
  return { version, people: [bob, alice, carol], roomId }
}

/** Goes through something in a room of each version, each on its own. */
function inEachVersion(
  what: string,
  versions: readonly string[],
  work: (room: Together) => Promise<void>,
): void {
  describe(what, { skip, concurrency: true }, () => {
    for (const version of versions) {
      test(`version ${version}: ${what}`, () =>
        theFederation().explaining(async () => await work(await together(version))))
    }
  })
}

/** Lets something happen to rooms of all versions at once, and then looks at each of them. */
function inAllVersions<Past>(
  what: string,
  happen: (rooms: readonly Together[]) => Promise<readonly Past[]>,
  look: (room: Together, past: Past) => Promise<void>,
): void {
  describe(what, { skip, concurrency: true }, () => {
    let rooms: readonly Together[] = []
    let pasts: readonly Past[] = []
    before(async () => {
      await theFederation().explaining(async () => {
        rooms = await Promise.all(versions.map(together))
        pasts = await happen(rooms)
      })
    })
    for (const [index, version] of versions.entries()) {
      test(`version ${version}: ${what}`, async () => {
        const [room, past] = [rooms[index], pasts[index]]
        assert.ok(room !== undefined && past !== undefined)
        await theFederation().explaining(() => look(room, past))
      })
    }
  })
}

inEachVersion(`${many} messages each way`, versions, async ({ people, roomId }) => {
  const sent = (await Promise.all(people.map((one) => sendMany(one, roomId, many)))).flat()
  for (const person of people) await arriveAll(person, roomId, sent)
})

for (const [how, index] of [
  ['SIGSTOP', 2],
  ['SIGKILL', 2],
  ['SIGSTOP', 0],
  ['SIGKILL', 0],
] as const) {
  inAllVersions(
    `server ${index} is away by ${how} and catches up`,
    async (rooms) => {
      const { process } = theFederation().members[index]
      if (how === 'SIGSTOP') process.signal('SIGSTOP')
      else await process.end('SIGKILL')
      const sent = await Promise.all(
        rooms.map(async ({ people, roomId }) => {
          const others = people.filter((_, place) => place !== index)
          return (await Promise.all(others.map((one) => sendMany(one, roomId, 30)))).flat()
        }),
      )
      if (how === 'SIGSTOP') process.signal('SIGCONT')
      else await process.start()
      return sent
    },
    async ({ people, roomId }, sent) => {
      const away = people[index]
      const others = people.filter((one) => one !== away)
      const asked = await people[1].send(roomId, 'are you back?')
      await arriveAll(away, roomId, [...sent, asked])
      const back = await away.send(roomId, 'I am back')
      for (const other of others) await arrives(other, roomId, back)
      await sameState(people, roomId)
    },
  )
}

inAllVersions(
  'conflicting levels, bans and topics on all sides of a cut',
  async (rooms) => {
    const federation = theFederation()
    const sides = await Promise.all(rooms.map(withVictim))
    federation.cut()
    await Promise.all(sides.map(fallOut))
    federation.heal()
    return sides
  },
  async ({ people, roomId }) => {
    const [bob, alice] = people
    for (const person of [alice, bob]) await person.send(roomId, 'together again')
    const merging = await alice.send(roomId, 'and this merges')
    for (const person of people) await arrives(person, roomId, merging)
    await bob.send(roomId, 'and this')
    await sameState(people, roomId)
  },
)

/** One more of the first server is in the room. */
async function withVictim(room: Together): Promise<Together & { readonly victim: Client }> {
  const { people, roomId } = room
  const federation = theFederation()
  const victim = await federation.user(federation.members[0], 'victim')
  await victim.join(roomId, [serverOf(people[1])])
  for (const person of people) await becomes(person, roomId, victim, 'join')
  return { ...room, victim }
}

/** Each side of a cut sets its own topic, and what the others' acts depend on. */
async function fallOut({ people, roomId, victim }: Together & { victim: Client }): Promise<void> {
  const [bob, alice, carol] = people
  const levels = await alice.stateContent(roomId, 'm.room.power_levels')
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
}

// Knocks are of the versions from 7 on.
const withKnocks = versions.filter((version) => Number(version) >= 7)

inEachVersion('knocking', withKnocks, async ({ version, people }) => {
  const federation = theFederation()
  // Each knocks on a room that only the other two servers are in, through either of them. Synapse's
  // users knock anew each time: whom it has let in once, it lets in no second time, since it then
  // gives the join two member events as `auth_events` and refuses its own event for that.
  for (const [host, friend, knocker] of [
    [0, 1, 2],
    [1, 0, 2],
    [2, 0, 1],
    [1, 2, 0],
    [2, 1, 0],
  ] as const) {
    const user = await federation.user(federation.members[knocker], 'knocker')
    await knock(version, { host: people[host], friend: people[friend], user })
  }
})

/** A user of a third server knocks through the friend's server, and is let in by the host. */
async function knock(
  version: string,
  { host, friend, user }: { host: Client; friend: Client; user: Client },
): Promise<void> {
  const roomId = await host.createRoom({ preset: 'public_chat', room_version: version })
  await friend.join(roomId, [serverOf(host)])
  await becomes(host, roomId, friend, 'join')
  const rule = await host.setState(roomId, 'm.room.join_rules', { join_rule: 'knock' })
  await arrives(friend, roomId, rule)
  await refused(user.join(roomId, [serverOf(host)]))
  await user.knock(roomId, [serverOf(friend)])
  await becomes(host, roomId, user, 'knock')
  await host.member('invite', roomId, user.userId)
  await invited(user, roomId)
  await user.join(roomId, [serverOf(host)])
  await becomes(friend, roomId, user, 'join')
}

// Restricted joins are of the versions from 8 on.
const withRestrictions = versions.filter((version) => Number(version) >= 8)

inEachVersion('restricted joins', withRestrictions, async ({ version, people, roomId: lobby }) => {
  const federation = theFederation()
  const [bob, alice, carol] = people
  const content = {
    join_rule: 'restricted',
    allow: [{ type: 'm.room_membership', room_id: lobby }],
  }
  for (const [host, guest] of [
    [alice, bob],
    [bob, carol],
    [carol, bob],
    [alice, carol],
  ] as const) {
    const inner = await host.createRoom({
      room_version: version,
      initial_state: [{ type: 'm.room.join_rules', state_key: '', content }],
    })
    await guest.join(inner, [serverOf(host)])
    await becomes(host, inner, guest, 'join')
    await arrives(host, inner, await guest.send(inner, 'let in'))
    const stranger = await federation.user(federation.members[2], 'stranger')
    await refused(stranger.join(inner, [serverOf(host)]))
  }
})
