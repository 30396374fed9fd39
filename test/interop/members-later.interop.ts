/**
 * Rooms of some hundred members are joined without most of these, which come later: by this server
 * through a Synapse, and by a Synapse through this server.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { type Client, eventually } from '../rig/client.ts'
import { Federation, type Member } from './federation.ts'
import { arrives, becomes, sameState } from './scenarios.ts'

const started = await Federation.start()
const skip = typeof started === 'string' ? started : false

const members = 150
const limitMs = 60_000

interface Hall {
  readonly roomId: string
  readonly alice: Client
  readonly crowd: readonly Client[]
}

/** A room of somebody on `home`, with a crowd from another server or the same. */
async function hall(federation: Federation, home: Member, others: Member): Promise<Hall> {
  const alice = await federation.user(home, 'alice')
  const roomId = await alice.createRoom({ preset: 'public_chat', name: 'The Hall' })
  const crowd: Client[] = []
  for (let index = 0; index < members; index += 1) {
    const client = await federation.user(others, `guest${index}`)
    await client.join(roomId, [home.process.serverName])
    crowd.push(client)
  }
  const last = crowd.at(-1) ?? assert.fail()
  await becomes(alice, roomId, last, 'join')
  return { roomId, alice, crowd }
}

async function joinedCount(client: Client, roomId: string): Promise<number> {
  const path = `/v3/rooms/${encodeURIComponent(roomId)}/joined_members`
  const { joined } = await client.call('GET', path)
  return Object.keys(joined as object).length
}

/** Somebody of another server joins, is in the room at once, and soon sees all members. */
async function joinsLater(
  federation: Federation,
  { roomId, alice, crowd }: Hall,
  { home, away }: { readonly home: Member; readonly away: Member },
): Promise<void> {
  const carol = await federation.user(away, 'carol')
  await carol.join(roomId, [home.process.serverName])
  await arrives(alice, roomId, await carol.send(roomId, 'here I am'))
  const [guest] = crowd
  assert.ok(guest)
  await arrives(carol, roomId, await guest.send(roomId, 'I am a guest'))
  await arrives(carol, roomId, await alice.send(roomId, 'I am Alice'))
  await eventually(
    `${carol.userId} sees all ${members + 2} members`,
    async () => (await joinedCount(carol, roomId)) === members + 2,
    limitMs,
  )
  await sameState([alice, carol], roomId)
  // Who is new in the room, and who leaves, is seen by all.
  await guest.leave(roomId)
  await becomes(carol, roomId, guest, 'leave')
  await carol.leave(roomId)
  await becomes(alice, roomId, carol, 'leave')
}

test('this server joins through a Synapse, which leaves members out', { skip }, async () => {
  const federation = started as Federation
  const [synapse, crowded, away] = federation.members
  await federation.explaining(async () => {
    const room = await hall(federation, synapse, crowded)
    await joinsLater(federation, room, { home: synapse, away })
  })
  if (away.kind !== 'hansa') return
  const log = readFileSync(away.process.logFile, 'utf8')
  assert.match(log, /joined without most of its members/)
  assert.match(log, /state of a room is known whole/)
})

test('a Synapse joins through this server, which leaves members out', { skip }, async () => {
  const federation = started as Federation
  const [synapse, home, third] = federation.members
  await federation.explaining(async () => {
    const room = await hall(federation, home, home)
    await joinsLater(federation, room, { home, away: synapse })
    assertPartly(synapse, room.roomId, 1)
    // It knows the room by then, and asks for less again when it comes back.
    const dora = await federation.user(third, 'dora')
    await dora.join(room.roomId, [home.process.serverName])
    await joinedBeside(federation, room, { dora, home, away: synapse })
    assertPartly(synapse, room.roomId, 2)
  })
})

/** A Synapse asked us for less than all of the state, was given it so, and has all of it since. */
function assertPartly({ kind, process }: Member, roomId: string, times: number): void {
  if (kind !== 'synapse') return
  const log = readFileSync(process.logFile, 'utf8')
  // In targets of requests the sigil is written otherwise.
  const lines = log.split('\n').filter((line) => line.includes(roomId.slice(1)))
  for (const text of ['omit_members=true', 'Syncing state for room', 'State resync complete for']) {
    assert.equal(lines.filter((line) => line.includes(text)).length, times, text)
  }
}

/**
 * Somebody joins a room of two other servers. What is said at once, before all members are known, comes
 * to both of them: which servers there are is told with the join.
 */
async function joinedBeside(
  federation: Federation,
  { roomId, alice }: Hall,
  { dora, home, away }: { readonly dora: Client; readonly home: Member; readonly away: Member },
): Promise<void> {
  const erin = await federation.user(away, 'erin')
  await erin.join(roomId, [home.process.serverName])
  const said = await erin.send(roomId, 'can you both hear me?')
  await arrives(alice, roomId, said)
  await arrives(dora, roomId, said)
  await arrives(erin, roomId, await dora.send(roomId, 'I can'))
  await eventually(
    `${erin.userId} sees all members`,
    async () => (await joinedCount(erin, roomId)) === (await joinedCount(alice, roomId)),
    limitMs,
  )
  await sameState([alice, dora, erin], roomId)
}
