/**
 * What two servers go through together in a room, each step seen on both sides.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { ApiError, type Client, type ClientEvent, eventually } from '../rig/client.ts'

/** How long is waited for one event, or the next of many: far longer than a quiet machine needs. */
const limitMs = 60_000

/** Waits until `client` has the event in its newest history. */
export async function arrives(
  client: Client,
  roomId: string,
  eventId: string,
): Promise<ClientEvent> {
  return await eventually(
    `${eventId} reaches ${client.userId}`,
    async () => (await client.history(roomId, 50)).find((event) => event.event_id === eventId),
    limitMs,
  )
}

/** Waits until `client` sees that `userId` has this membership. */
export async function becomes(
  client: Client,
  roomId: string,
  { userId }: { userId: string },
  membership: string,
): Promise<void> {
  await eventually(
    `${client.userId} sees ${userId} as ${membership}`,
    async () => (await client.membership(roomId, userId)) === membership,
    limitMs,
  )
}

/** Waits until a client's sync shows an invite or a knock, which it gives. */
export async function invited(client: Client, roomId: string): Promise<void> {
  await eventually(
    `${client.userId} is invited`,
    async () => {
      const { rooms } = (await client.sync()) as { rooms?: { invite?: Record<string, unknown> } }
      return rooms?.invite?.[roomId] !== undefined
    },
    limitMs,
  )
}

/** Fails unless the call is refused with M_FORBIDDEN or one of these. */
export async function refused(call: Promise<unknown>, ...errcodes: string[]): Promise<void> {
  await assert.rejects(call, (error) => {
    assert.ok(error instanceof ApiError, String(error))
    assert.ok(['M_FORBIDDEN', ...errcodes].includes(error.errcode), error.message)
    return true
  })
}

/** How many messages somebody has under way at a time. */
const lanes = 8

/** Sends many messages, some at a time. Gives their IDs. */
export async function sendMany(client: Client, roomId: string, count: number): Promise<string[]> {
  const ids: string[] = []
  const sending = Array.from({ length: lanes }, async (_, lane) => {
    for (let index = lane; index < count; index += lanes) {
      ids[index] = await client.send(roomId, `message ${index}`)
    }
  })
  await Promise.all(sending)
  return ids
}

/**
 * Waits until a client can read all these events by paging back. Reads what is new first, and all of
 * the history again only when nothing new has come, since a server may have filled a gap by then.
 * Gives up when nothing more has come for long.
 */
export async function arriveAll(
  client: Client,
  roomId: string,
  ids: readonly string[],
): Promise<void> {
  const missing = new Set(ids)
  const seen = new Set<string>()
  const read = async (isEnough: (event: ClientEvent) => boolean) => {
    const before = seen.size
    for (const { event_id } of await client.history(roomId, ids.length * 2 + 100, isEnough)) {
      seen.add(event_id)
      missing.delete(event_id)
    }
    return seen.size > before
  }
  while (missing.size > 0) {
    const [first] = missing
    await eventually(
      `${missing.size} of ${ids.length} events, as ${first}, reach ${client.userId}`,
      async () => {
        const isFresh = await read(({ event_id }) => seen.has(event_id))
        return isFresh || (await read(() => false))
      },
      limitMs,
    )
  }
}

/** Someone of `home` makes a room of a version and people of `away` live in it. */
export async function liveTogether(
  version: string,
  { home, away }: { home: readonly [Client]; away: readonly [Client, Client, Client] },
  homeServer: string,
): Promise<void> {
  const [alice] = home
  const [bob, carol, dave] = away
  const alias = `room-${version}-${alice.userId.slice(1).split(':')[0]}`
  const roomId = await alice.createRoom({
    preset: 'public_chat',
    room_version: version,
    room_alias_name: alias,
    name: 'Together',
  })
  const create = (await alice.state(roomId)).find((event) => event.type === 'm.room.create')
  assert.equal(create?.content.room_version ?? '1', version)

  // Join by alias; messages both ways.
  assert.equal(await bob.join(`#${alias}:${homeServer}`), roomId)
  await becomes(alice, roomId, bob, 'join')
  await arrives(bob, roomId, await alice.send(roomId, 'from home'))
  await arrives(alice, roomId, await bob.send(roomId, 'from away'))

  // Join by invite; a rejected invite.
  await alice.member('invite', roomId, carol.userId)
  await invited(carol, roomId)
  await carol.join(roomId)
  await becomes(alice, roomId, carol, 'join')
  await alice.member('invite', roomId, dave.userId)
  await invited(dave, roomId)
  await dave.leave(roomId)
  await becomes(alice, roomId, dave, 'leave')
  await becomes(bob, roomId, dave, 'leave')

  // State changes, also by who was given power.
  await arrives(bob, roomId, await alice.setState(roomId, 'm.room.topic', { topic: 'home' }))
  const levels = await alice.stateContent(roomId, 'm.room.power_levels')
  const users = { ...(levels.users as object), [bob.userId]: 75 }
  await arrives(
    bob,
    roomId,
    await alice.setState(roomId, 'm.room.power_levels', { ...levels, users }),
  )
  await arrives(alice, roomId, await bob.setState(roomId, 'm.room.topic', { topic: 'away' }))
  assert.deepEqual(await alice.stateContent(roomId, 'm.room.topic'), { topic: 'away' })
  await refused(carol.setState(roomId, 'm.room.topic', { topic: 'nobody' }))

  // Kick, ban, unban.
  await alice.member('kick', roomId, carol.userId, 'so')
  await becomes(bob, roomId, carol, 'leave')
  await carol.join(roomId, [homeServer])
  await becomes(alice, roomId, carol, 'join')
  await bob.member('ban', roomId, carol.userId)
  await becomes(alice, roomId, carol, 'ban')
  await refused(carol.join(roomId, [homeServer]), 'M_BAD_STATE')
  await alice.member('unban', roomId, carol.userId)
  await becomes(bob, roomId, carol, 'leave')
  await carol.join(roomId, [homeServer])
  await becomes(alice, roomId, carol, 'join')

  // Redaction.
  const secret = await bob.send(roomId, 'a slip of the tongue')
  await arrives(alice, roomId, secret)
  await bob.redact(roomId, secret)
  await eventually(
    'the redaction is applied at home',
    async () => {
      const events = await alice.history(roomId, 20)
      return events.some((event) => event.event_id === secret && event.content.body === undefined)
    },
    limitMs,
  )

  // Leave.
  await bob.leave(roomId)
  await becomes(alice, roomId, bob, 'leave')
  await refused(bob.send(roomId, 'I am gone'))
}

/** History that was there before `bob`'s server joined is there for him, complete and once. */
export async function readHistory(
  version: string,
  { alice, bob }: { alice: Client; bob: Client },
  homeServer: string,
  count = 300,
): Promise<void> {
  const roomId = await alice.createRoom({ preset: 'public_chat', room_version: version })
  const ids = await sendMany(alice, roomId, count)
  await bob.join(roomId, [homeServer])
  await arriveAll(bob, roomId, ids)
  const history = await bob.history(roomId, count * 2)
  const seen = history.map((event) => event.event_id)
  assert.equal(new Set(seen).size, seen.length, 'no event twice')
  assert.equal(history.at(-1)?.type, 'm.room.create')
  // What Alice sent when she had been told that an earlier message is sent is read after that.
  for (const [index, id] of ids.slice(lanes).entries()) {
    const [earlier, later] = [seen.indexOf(ids[index] ?? ''), seen.indexOf(id)]
    assert.ok(earlier > later, `message ${index + lanes} is read after message ${index}`)
  }
}

/** The name of a client's server. */
export function serverOf({ userId }: Client): string {
  return userId.slice(userId.indexOf(':') + 1)
}

/** The state of a room as one text, for comparison: key and event ID. */
export async function stateOf(client: Client, roomId: string): Promise<string> {
  const events = await client.state(roomId)
  return events
    .map((event) => `${event.type} ${event.state_key} ${event.event_id}`)
    .sort()
    .join('\n')
}

/**
 * Waits until all clients see the same state, and gives it. Each sends a message now and then: an
 * event that follows all that its server knows is what makes servers agree.
 */
export async function sameState(clients: readonly Client[], roomId: string): Promise<string> {
  let states: string[] = []
  try {
    return await eventually(
      'the same state everywhere',
      async () => {
        for (const client of clients) await client.send(roomId, 'merging')
        states = await Promise.all(clients.map((client) => stateOf(client, roomId)))
        return states.every((state) => state === states[0]) && states[0]
      },
      limitMs,
    )
  } catch (error) {
    const [first, ...others] = states.map((state) => new Set(state.split('\n')))
    const apart = others.flatMap((other) => [...other.symmetricDifference(first ?? other)])
    throw new Error(`${(error as Error).message}; they differ in:\n${apart.join('\n')}`, {
      cause: error,
    })
  }
}
