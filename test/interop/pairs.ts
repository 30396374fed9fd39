/**
 * Tests of what two servers show each other, each of them once in each place.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type Client, type ClientEvent, eventually, type Json } from '../rig/client.ts'
import type { Federation, Member } from './federation.ts'
import { becomes, serverOf } from './scenarios.ts'

/** Who shows, and who looks: a Synapse is first, two Hansas follow. */
const pairs = [
  [0, 1],
  [1, 0],
  [1, 2],
] as const

/** What a test is given: two servers of three. */
export interface Pair {
  readonly federation: Federation
  readonly home: Member
  readonly away: Member
  /** The server that has no part in it. */
  readonly third: Member
}

/** How many tests of a file run at the same time. */
const concurrency = 6

/** Runs a test for each pair of servers. */
export function inEachPair(
  started: Federation | string,
  tests: Readonly<Record<string, (pair: Pair) => Promise<void>>>,
): void {
  const skip = typeof started === 'string' ? started : false
  describe('between two servers', { skip, concurrency }, () => {
    for (const [name, work] of Object.entries(tests)) {
      for (const [homeIndex, awayIndex] of pairs) {
        test(`${name}: server ${homeIndex} to ${awayIndex}`, async () => {
          assert.ok(typeof started !== 'string')
          const { members } = started
          const third = members[(3 - homeIndex - awayIndex) as 0 | 1 | 2]
          const pair = { federation: started, third }
          await started.explaining(() =>
            work({ ...pair, home: members[homeIndex], away: members[awayIndex] }),
          )
        })
      }
    }
  })
}

/** A room of Alice at home, in which Bob from away is, too. */
export interface TwoInRoom extends Pair {
  readonly alice: Client
  readonly bob: Client
  readonly roomId: string
}

export async function twoInRoom(pair: Pair, options: Json = {}): Promise<TwoInRoom> {
  const { federation, home, away } = pair
  const alice = await federation.user(home, 'alice')
  const bob = await federation.user(away, 'bob')
  const roomId = await alice.createRoom({ preset: 'public_chat', ...options })
  await bob.join(roomId, [serverOf(alice)])
  await becomes(alice, roomId, bob, 'join')
  return { ...pair, alice, bob, roomId }
}

/** What tests read of an answer of `/sync`. */
export interface SyncAnswer {
  readonly rooms?: { readonly join?: Readonly<Record<string, JoinedRoom>> }
  readonly presence?: { readonly events?: readonly ClientEvent[] }
  readonly to_device?: { readonly events?: readonly ClientEvent[] }
  readonly device_lists?: {
    readonly changed?: readonly string[]
    readonly left?: readonly string[]
  }
}

interface JoinedRoom {
  readonly ephemeral?: { readonly events?: readonly ClientEvent[] }
  readonly timeline?: { readonly events?: readonly ClientEvent[] }
  readonly state?: { readonly events?: readonly ClientEvent[] }
}

const limitMs = 60_000

/** Syncs on and on until something is seen, which it gives. */
export async function sees<T>(
  client: Client,
  what: string,
  find: (answer: SyncAnswer) => T | undefined | false,
): Promise<T> {
  return await eventually(
    `${client.userId} sees ${what}`,
    async () => find((await client.sync(500)) as SyncAnswer),
    limitMs,
  )
}

/** Waits until a call gives something true. */
export async function gives<T>(
  what: string,
  call: () => Promise<T | undefined | false>,
): Promise<T> {
  return await eventually(what, call, limitMs)
}
