/**
 * Every room version, made on either side, lived in from the other.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Federation, type Member } from './federation.ts'
import { liveTogether, readHistory } from './scenarios.ts'

const started = await Federation.start()
const skip = typeof started === 'string' ? started : false

const versions = (process.env.HANSA_TEST_VERSIONS ?? '1,2,3,4,5,6,7,8,9,10,11,12').split(',')

/** How many versions are gone through at the same time. */
const concurrency = 3

/** Who is at home and who is away. */
const pairs = [
  [0, 1],
  [1, 0],
  [1, 2],
] as const

describe('rooms of every version', { skip, concurrency }, () => {
  for (const version of versions) {
    describe(`version ${version}`, { concurrency: 1 }, () => {
      for (const [home, away] of pairs) inPair(version, home, away)
    })
  }
})

function inPair(version: string, homeIndex: 0 | 1, awayIndex: 0 | 1 | 2): void {
  const where = `version ${version}: server ${homeIndex} at home, ${awayIndex} away`

  between(`${where}: live together`, async (federation, home, away) => {
    const alice = await federation.user(home, 'alice')
    const bob = await federation.user(away, 'bob')
    const carol = await federation.user(away, 'carol')
    const dave = await federation.user(away, 'dave')
    const people = { home: [alice], away: [bob, carol, dave] } as const
    await liveTogether(version, people, home.process.serverName)
  })

  between(`${where}: 300 older messages`, async (federation, home, away) => {
    const people = {
      alice: await federation.user(home, 'alice'),
      bob: await federation.user(away, 'bob'),
    }
    await readHistory(version, people, home.process.serverName)
  })

  function between(
    name: string,
    work: (federation: Federation, home: Member, away: Member) => Promise<void>,
  ): void {
    test(name, async () => {
      assert.ok(typeof started !== 'string')
      const { members } = started
      await started.explaining(() => work(started, members[homeIndex], members[awayIndex]))
    })
  }
}
