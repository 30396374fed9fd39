/**
 * The state of a room of which two branches say much, resolved a slice at a time.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Clock } from '#io/clock.ts'
import { realClock } from '#io/real-clock.ts'
import type { Pdu } from '#protocol/pdu.ts'
import type { RoomVersion } from '#protocol/room-version.ts'
import { memoryImage } from '#storage/sqlite.ts'
import { alice, hastyClock, openEngine, roomWithThem, versionOf } from '../../test/engine-world.ts'
import { bob, carol, there } from '../../test/their-room.ts'

/** Who has the last word under each of many keys, of which two branches of a room say something. */
async function winnersOfFork(version: RoomVersion, clock: Clock): Promise<(string | undefined)[]> {
  const world = await openEngine(memoryImage(), { clock })
  const room = await roomWithThem(world, version)
  const users = version.privilegedCreators ? { [bob]: 50 } : { [alice]: 100, [bob]: 50 }
  const levels = { users, state_default: 0 }
  const root = await room.ours('m.room.power_levels', levels, '')
  const keys = Array.from({ length: 30 }, (_, index) => `${index}`)
  const branches: Pdu[] = []
  for (const sender of [carol, bob]) {
    const auth = await room.authAfter(root, sender)
    let last = root
    for (const stateKey of keys) {
      last = await room.make(sender, 'm.test', {}, { stateKey, after: [last], auth })
      branches.push(last)
    }
  }
  await world.rooms.engine.receive(room.roomId, branches, { origin: there })
  assert.equal((await room.ends()).length, 2)
  const state = await world.rooms.currentState(room.roomId)
  return await Promise.all(keys.map(async (key) => (await state?.event('m.test', key))?.sender))
}

for (const id of ['1', '12']) {
  test(`version ${id}: states are resolved alike, however often the thread does something else`, async () => {
    const clock = hastyClock()
    const winners = await winnersOfFork(versionOf(id), realClock)
    assert.ok(winners.every((winner) => winner === bob || winner === carol))
    assert.deepEqual(await winnersOfFork(versionOf(id), clock), winners)
    assert.ok(clock.pauses() > 200, `${clock.pauses()} pauses`)
  })
}
