/**
 * Rooms that others tear into many ends: they are merged by an event of whoever of ours may speak.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { VirtualTime } from '#io/simulated/simulated-clock.ts'
import type { UserId } from '#protocol/identifiers/ids.ts'
import type { Pdu } from '#protocol/pdu.ts'
import { memoryImage } from '#storage/sqlite.ts'
import { alice, openEngine, roomWithThem, versionOf } from '../../test/engine-world.ts'
import { bob, there } from '../../test/their-room.ts'

test('a room that others tear into many ends is merged by us', async () => {
  const world = await openEngine(memoryImage())
  const room = await roomWithThem(world, versionOf('12'))
  const root = await room.ours('m.room.message', { body: 'root' })
  const forks: Pdu[] = []
  for (let index = 0; index < 70; index += 1) forks.push(await room.message(bob, [root]))
  const merged = new Promise<void>((resolve) => {
    world.rooms.onCommit(() => {
      void room.ends().then(({ length }) => length <= 20 && resolve())
    })
  })
  const outcomes = await world.rooms.engine.receive(room.roomId, forks, { origin: there })
  assert.ok(outcomes.every(({ outcome }) => outcome === 'accepted'))
  await merged
})

test('a thousand forks of an adversary leave sixty ends at most, and we can speak', async () => {
  const time = new VirtualTime()
  const world = await openEngine(memoryImage(), { clock: time.clock() })
  const room = await roomWithThem(world, versionOf('12'))
  const root = await room.ours('m.room.message', { body: 'root' })
  const forks: Pdu[] = []
  for (let index = 0; index < 1000; index += 1) {
    const changesState = index % 10 === 0
    const place = { after: [root], ...(changesState && { stateKey: `${index}` }) }
    forks.push(await room.make(bob, 'm.test', { index }, place))
  }
  const lengths: number[] = []
  world.rooms.onCommit(() => void room.ends().then(({ length }) => lengths.push(length)))
  const taking = (async () => {
    for (let at = 0; at < forks.length; at += 50) {
      const bytes = forks.slice(at, at + 50).map((fork) => fork.bytes)
      await world.rooms.engine.takeIn(there, bytes)
    }
    await world.rooms.engine.settled()
  })()
  await time.await(taking, 60_000)
  await time.run(5000)
  const ends = await room.ends()
  assert.ok(ends.length >= 1 && ends.length <= 60, `${ends.length} ends`)
  assert.ok(lengths.every((length) => length >= 1))
  const start = time.elapsedMs
  const said = await room.ours('m.room.message', { body: 'x' })
  assert.ok(time.elapsedMs - start < 1000)
  assert.ok((await room.ends()).includes(said.event_id))
  const state = await world.rooms.currentState(room.roomId)
  const keys = state?.ids().filter(({ type }) => type === 'm.test') ?? []
  assert.equal(keys.length, 100)
})

test('where most of our users may not speak, one who may merges the ends', async () => {
  const time = new VirtualTime()
  const world = await openEngine(memoryImage(), { clock: time.clock() })
  const room = await roomWithThem(world, versionOf('12'))
  // Twelve of ours come, by whose names one would not find who may speak.
  for (let index = 0; index < 12; index += 1) {
    const sender = `@a${index}:here.test` as UserId
    const content = { membership: 'join' }
    await world.rooms.send(room.roomId, {
      sender,
      type: 'm.room.member',
      state_key: sender,
      content,
    })
  }
  const speaker = '@a7:here.test'
  const levels = { users: { [bob]: 50, [speaker]: 50 }, events_default: 50 }
  const root = await room.ours('m.room.power_levels', levels, '')
  // Our creator, who may do anything, leaves.
  const leave = { membership: 'leave' }
  await world.rooms.send(room.roomId, {
    sender: alice,
    type: 'm.room.member',
    state_key: alice,
    content: leave,
  })
  const forks: Pdu[] = []
  for (let index = 0; index < 70; index += 1) forks.push(await room.message(bob, [root]))
  await time.await(world.rooms.engine.receive(room.roomId, forks, { origin: there }))
  await time.run(5000)
  assert.ok((await room.ends()).length <= 20)
})
