/**
 * Every room version, made on either side, lived in from the other.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Federation, type Member } from './federation.ts'
import { liveTogether, readHistory } from './scenarios.ts'

let federation: Federation

const started = await Federation.start()

before(() => {
  if (typeof started !== 'string') federation = started
})

after(async () => {
  if (typeof started !== 'string') await started.end()
})

const skip = typeof started === 'string' ? started : false

const versions = (process.env.HANSA_TEST_VERSIONS ?? '1,2,3,4,5,6,7,8,9,10,11,12').split(',')

/** Who is at home and who is away. */
const pairs = [
  [0, 1],
  [1, 0],
  [1, 2],
] as const

for (const version of versions) {
  for (const [homeIndex, awayIndex] of pairs) {
    const about = () => {
      const [home, away] = [federation.members[homeIndex], federation.members[awayIndex]]
      assert.ok(home && away)
      return { home, away }
    }
    test(`version ${version}: server ${homeIndex} at home, ${awayIndex} away: live together`, {
      skip,
    }, async () => {
      const { home, away } = about()
      await reporting(async () => {
        const people = await peopleOf(home, away)
        await liveTogether(version, people, home.process.serverName)
      })
    })
    test(`version ${version}: server ${homeIndex} at home, ${awayIndex} away: 300 older messages`, {
      skip,
    }, async () => {
      const { home, away } = about()
      await reporting(async () => {
        const [alice, bob] = [
          await federation.user(home, 'alice'),
          await federation.user(away, 'bob'),
        ]
        await readHistory(version, { alice, bob }, home.process.serverName)
      })
    })
  }
}

async function peopleOf(home: Member, away: Member) {
  return {
    home: [await federation.user(home, 'alice')] as const,
    away: [
      await federation.user(away, 'bob'),
      await federation.user(away, 'carol'),
      await federation.user(away, 'dave'),
    ] as const,
  }
}

/** Adds the servers' logs to a failure. */
async function reporting(work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    console.error(federation.logs())
    throw error
  }
}
