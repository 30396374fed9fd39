import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EventId } from '#protocol/identifiers/ids.ts'
import { UnprovedEvents } from './unproved-events.ts'

const [a, b, c] = ['$a', '$b', '$c'] as EventId[] as [EventId, EventId, EventId]
const ana = { type: 'm.room.member', stateKey: '@ana:one.example' }
const topic = { type: 'm.room.topic', stateKey: '' }

test('what could not be proved is found where it stands', () => {
  const events = new UnprovedEvents()
  events.add(a, 1, ana)
  events.add(b, 1, topic)
  events.add(c, 2, ana)
  assert.deepEqual([...events.at(ana)], [a, c])
  assert.deepEqual([...events.at(topic)], [b])
  assert.deepEqual([...events.at({ type: 'm.room.topic', stateKey: 'x' })], [])
})

test('what stands nowhere known counts until it is found', () => {
  const events = new UnprovedEvents()
  events.add(a, 1, undefined)
  events.add(b, 2, undefined)
  events.add(c, 3, topic)
  assert.equal(events.lastKeylessTold, 2)
  events.found(a, ana)
  assert.equal(events.lastKeylessTold, 2)
  events.found(b, ana)
  assert.equal(events.lastKeylessTold, 0)
  assert.deepEqual([...events.at(ana)], [a, b])
})

test('what is told again is told later, and its place is not forgotten', () => {
  const events = new UnprovedEvents()
  events.add(a, 1, undefined)
  events.add(b, 1, topic)
  events.add(a, 2, undefined)
  assert.equal(events.lastKeylessTold, 2)
  assert.deepEqual(events.add(b, 3, undefined), { eventId: b, told: 3, key: topic })
  assert.equal(events.lastKeylessTold, 2)
  events.add(a, 4, ana)
  assert.equal(events.lastKeylessTold, 0)
  assert.equal(events.lastTold, 4)
  assert.equal(events.size, 2)
})

test('what is not remembered is found nowhere', () => {
  const events = new UnprovedEvents()
  events.found(a, ana)
  assert.deepEqual([...events.at(ana)], [])
})
