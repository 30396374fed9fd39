/**
 * `examples/join-and-read.ts` as its users run it, against a whole server.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type TestContext, test } from 'node:test'
import type { RoomAlias, RoomId, UserId } from '../src/protocol/identifiers/ids.ts'
import { type RoomVersion, roomVersions } from '../src/protocol/room-version.ts'
import { type LoopbackHansa, loopbackHansa } from './loopback-hansa.ts'
import { freePort } from './rig/processes.ts'

const example = new URL('../examples/join-and-read.ts', import.meta.url).pathname

for (const id of ['1', '6', '12']) {
  test(`a program joins a room of version ${id}, reads it, and leaves`, async (t) => {
    const hansa = await loopbackHansa(t)
    const version = roomVersions.get(id)
    assert(version)
    const alice: UserId = `@alice:${hansa.name}`
    const roomId = await publicRoom(hansa, alice, version)
    await say(hansa, roomId, alice, 'before')
    const { reader, lines, child } = await run(t, hansa, `#room:${hansa.name}`)
    const joined = `Joined ${roomId} (version ${id}) through ${hansa.name}: 1 members.`
    assert.equal(await lines.next(), joined)
    assert.equal(await lines.next(), `${alice}: before`)
    await say(hansa, roomId, alice, 'after')
    assert.equal(await lines.next(), `${alice}: after`)
    assert.equal(await membership(hansa, roomId, reader), 'join')
    child.kill('SIGINT')
    assert.equal(await lines.next(), `Left ${roomId}.`)
    assert.equal(await membership(hansa, roomId, reader), 'leave')
    const [code] = await once(child, 'exit')
    assert.equal(code, 0)
  })
}

test('what cannot be joined is told', async (t) => {
  const hansa = await loopbackHansa(t)
  const { child, errors } = await run(t, hansa, `#none:${hansa.name}`)
  const [code] = await once(child, 'close')
  assert.equal(code, 1)
  assert.match(errors(), /refuses with 404 M_NOT_FOUND/)
})

async function publicRoom(
  { server, name }: LoopbackHansa,
  creator: UserId,
  version: RoomVersion,
): Promise<RoomId> {
  const alias: RoomAlias = `#room:${name}`
  const users = version.privilegedCreators ? {} : { [creator]: 100 }
  return await server.aliases.createWith(alias, creator, (alongside) =>
    server.rooms.createRoom({
      creator,
      alongside,
      version,
      createContent: {},
      joinContent: {},
      events: [
        { type: 'm.room.power_levels', state_key: '', content: { users } },
        { type: 'm.room.join_rules', state_key: '', content: { join_rule: 'public' } },
        {
          type: 'm.room.history_visibility',
          state_key: '',
          content: { history_visibility: 'shared' },
        },
      ],
    }),
  )
}

async function say({ server }: LoopbackHansa, roomId: RoomId, sender: UserId, body: string) {
  const content = { msgtype: 'm.text', body }
  await server.rooms.send(roomId, { sender, type: 'm.room.message', content })
}

async function membership({ server }: LoopbackHansa, roomId: RoomId, userId: UserId) {
  const state = await server.rooms.currentState(roomId)
  return (await state?.event('m.room.member', userId))?.content.membership
}

async function run(t: TestContext, { folder }: LoopbackHansa, room: string) {
  const name = `127.0.0.1:${await freePort('127.0.0.1')}`
  const file = (path: string) => join(folder, path)
  const args = [example, room, '--name', name, '--local', '--ca', file('ca.crt')]
  const keys = ['--cert', file('tls.crt'), '--key', file('tls.key'), '--signing-key', file('r.key')]
  const child = spawn(process.execPath, [...args, ...keys], { stdio: ['ignore', 'pipe', 'pipe'] })
  t.after(() => child.kill('SIGKILL'))
  const failed: string[] = []
  child.stderr.on('data', (chunk: Buffer) => failed.push(chunk.toString()))
  const printed = createInterface(child.stdout)[Symbol.asyncIterator]()
  const lines = {
    next: async () => {
      const { value, done } = await printed.next()
      return done ? `ended: ${failed.join('')}` : value
    },
  }
  const reader: UserId = `@reader:${name}`
  return { child, lines, reader, errors: () => failed.join('') }
}
