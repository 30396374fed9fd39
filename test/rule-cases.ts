/**
 * Tables of auth rule cases: a room, an event, and what comes of it, in each room version.
 *
 * The room is Alice's, who made it. Bob (level 50) and Carol (level 0) are in it, Dave is not; all are
 * of different servers. Every check also proves that no more of the state was read than
 * `authStateKeys` names.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { authStateKeys } from '#protocol/auth-rules/auth-events.ts'
import { checkAuthRules } from '#protocol/auth-rules/check.ts'
import type { UserId } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'
import { type RoomVersion, roomVersions } from '#protocol/room-version.ts'
import { type EventSketch, RoomWorld } from './room-world.ts'

export const [alice, bob, carol, dave] = ['@alice:a', '@bob:b', '@carol:c', '@dave:d'] as const

export interface RuleCase {
  readonly name: string
  /** The versions that have the rule; all, if it is not said. */
  readonly in?: (version: RoomVersion) => boolean
  /** What is special about the room. */
  readonly room?: (world: RoomWorld) => void
  readonly event: EventSketch | ((world: RoomWorld) => EventSketch)
  /** `allow`, or the rule that rejects. */
  readonly outcome: string | ((version: RoomVersion) => string)
}

/** Runs each case in each version that it is for: a test a case. */
export function testRules(subject: string, cases: readonly RuleCase[]): void {
  for (const { name, room, event, outcome, ...rest } of cases) {
    const versions = [...roomVersions.values()].filter((version) => rest.in?.(version) ?? true)
    assert.ok(versions.length > 0, `no version has: ${name}`)
    test(`${subject}: ${name}`, () => {
      for (const version of versions) {
        const world = ordinaryRoom(version)
        room?.(world)
        const sketch = typeof event === 'function' ? event(world) : event
        const expected = typeof outcome === 'string' ? outcome : outcome(version)
        assert.equal(verdictOn(world, sketch), expected, `in version ${version.id}`)
      }
    })
  }
}

/** A room as most are: only those who were invited may join. */
export function ordinaryRoom(version: RoomVersion): RoomWorld {
  const world = new RoomWorld(version, { creator: alice })
  world.create()
  setLevels(world, {})
  world.joinRule('invite')
  world.member(bob, 'join')
  world.member(carol, 'join')
  return world
}

/** Sets power levels, beside those of Alice and Bob. */
export function setLevels(world: RoomWorld, content: JsonObject, users: JsonObject = {}): void {
  world.powerLevels({ ...content, users: { ...ordinaryUsers(world.version), ...users } })
}

/** The levels that people have by themselves: creators need none where they have infinite power. */
export function ordinaryUsers(version: RoomVersion): JsonObject {
  return version.privilegedCreators ? { [bob]: 50 } : { [alice]: 100, [bob]: 50 }
}

/** What the rules say of an event in the room's current state. */
export function verdictOn(world: RoomWorld, sketch: EventSketch): string {
  const pdu = world.make(sketch)
  const keys = new Set(authStateKeys(pdu).map(([type, stateKey]) => `${type}|${stateKey}`))
  const verdict = checkAuthRules(pdu, {
    get(type, stateKey) {
      assert.ok(keys.has(`${type}|${stateKey}`), `${type} ${stateKey} is read, and not selected`)
      return world.state.get(type, stateKey)
    },
  })
  return verdict.allowed ? 'allow' : verdict.rule
}

/** A membership event. */
export function membership(
  target: UserId | string,
  value: string,
  { by = target as UserId, content = {} }: { by?: UserId; content?: JsonObject } = {},
): EventSketch {
  const all = { ...content, membership: value }
  return { type: 'm.room.member', sender: by, state_key: target, content: all }
}
