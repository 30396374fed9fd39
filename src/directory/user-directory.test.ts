/** The users of other servers in the user directory: they are shown as they are in rooms that one may see. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FederationWorld, type TestServer } from '../../test/federation-world.ts'
import { versionNamed } from '../../test/room-world.ts'
import { silentLog } from '../io/log.ts'
import type { RoomId, UserId } from '../protocol/identifiers/ids.ts'
import { sql } from '../storage/database.ts'
import { createUserDirectory } from './user-directory.ts'

/** Two servers, and the directory of the first. */
async function twoServers() {
  const world = new FederationWorld()
  const [a, b] = await world.start('a', 'b')
  const directoryOf = ({ life, rooms, name }: TestServer) =>
    createUserDirectory({
      ...life,
      rooms,
      serverName: name,
      log: silentLog,
      searchesAllUsers: false,
    })
  const directory = directoryOf(a)
  const finds = async (userId: UserId, searchTerm: string, from = directory) => {
    const found = await world.await(from.search({ userId, searchTerm, limit: 10 }))
    return found.results.map((one) => `${one.user_id.split(':')[0]} ${one.display_name ?? '-'}`)
  }
  return { world, a, b, directory, directoryOf, finds }
}

function joinAs(server: TestServer, userId: UserId, roomId: RoomId, displayname: string) {
  const content = { membership: 'join', displayname }
  return server.send(roomId, { sender: userId, type: 'm.room.member', state_key: userId, content })
}

const version = versionNamed('12')

test('a name in a private room is known only to who is there', async () => {
  const { world, a, b, finds } = await twoServers()
  const [alice, eve, bob] = [a.user('alice'), a.user('eve'), b.user('bob')]
  const open = await a.createRoom(alice, version)
  await b.join(bob, open, [a])
  await joinAs(b, bob, open, 'Bob the Builder')
  const secret = await a.createRoom(eve, version)
  await b.join(bob, secret, [a])
  await joinAs(b, bob, secret, 'Zorro')
  const rules = { type: 'm.room.join_rules', state_key: '', content: { join_rule: 'invite' } }
  await a.send(secret, { sender: eve, ...rules })
  await world.settle()
  assert.deepEqual(await finds(alice, 'builder'), ['@bob Bob the Builder'])
  assert.deepEqual(await finds(alice, 'bob'), ['@bob Bob the Builder'])
  assert.deepEqual(await finds(alice, 'zorro'), [])
  assert.deepEqual(await finds(eve, 'zorro'), ['@bob Zorro'])
  // Once the room is for all, so is the name.
  await a.send(secret, { sender: eve, ...rules, content: { join_rule: 'public' } })
  assert.deepEqual(await finds(alice, 'zorro'), ['@bob Zorro'])
})

test('what happens to a room is known after a restart, and nothing of a room that all have left', async () => {
  const { world, a, b, directory, directoryOf, finds } = await twoServers()
  const [alice, eve, bob] = [a.user('alice'), a.user('eve'), b.user('bob')]
  const roomId = await b.createRoom(bob, version)
  await a.join(alice, roomId, [b])
  await joinAs(b, bob, roomId, 'First')
  await world.settle()
  assert.deepEqual(await finds(eve, 'first'), ['@bob First'])
  await directory.close()
  await joinAs(b, bob, roomId, 'Second')
  await world.settle()
  const later = directoryOf(a)
  assert.deepEqual(await finds(eve, 'second', later), ['@bob Second'])
  assert.deepEqual(await finds(eve, 'first', later), [])
  await a.rooms.leave({ userId: alice, roomId, content: {} })
  assert.deepEqual(await finds(eve, 'second', later), [])
  for (const table of ['members', 'terms', 'rooms']) {
    const text = { texts: [`SELECT * FROM directory_${table}`], values: [] }
    assert.deepEqual(await a.life.db.all(text), [], table)
  }
  await a.join(alice, roomId, [b])
  await world.settle()
  assert.deepEqual(await finds(eve, 'second', later), ['@bob Second'])
  const [row] = await a.life.db.all<{ stream: number }>(sql`SELECT stream FROM directory_progress`)
  assert.ok((row?.stream ?? 0) > 0)
})
