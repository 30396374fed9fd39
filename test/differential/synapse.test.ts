/**
 * The same random rooms put to Hansa and to an installed Synapse: what each thinks of every event, and
 * to what each resolves the states. A difference that `explained.md` does not explain fails.
 *
 * `HANSA_DIFFERENTIAL_ROOMS` sets how many rooms, `HANSA_DIFFERENTIAL_SEED` the first one's seed, which
 * is another one in every run.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { roomVersions } from '#protocol/room-version.ts'
import { findPython } from '../rig/python.ts'
import { compare } from './compare.ts'
import { SynapseOracle } from './oracle.ts'
import { RandomRoom } from './random-room.ts'

const python = findPython()
const skip = python === undefined && 'no Python with Synapse: test/rig/install-python.sh makes one'
const roomCount = Number(process.env.HANSA_DIFFERENTIAL_ROOMS ?? 960)
const firstSeed = Number(process.env.HANSA_DIFFERENTIAL_SEED ?? randomInt(2 ** 31))
const unexplainedMax = 20

/** How much of what happens in a room is malformed, by turns. */
const mischiefs = [0, 0, 0.02, 0.1, 0.3]
const versions = [...roomVersions.values()]

test(`${roomCount} random rooms from seed ${firstSeed}`, { skip }, async (t) => {
  const oracle = new SynapseOracle(python ?? '')
  t.after(() => oracle.close())
  const explained = readFileSync(new URL('./explained.md', import.meta.url), 'utf8')
  const tally = new Map<string, number>()
  const unexplained: string[] = []
  const totals = { verdicts: 0, resolutions: 0 }

  for (let n = 0; n < roomCount && unexplained.length < unexplainedMax; n += versions.length) {
    const rooms = versions.map((version, v) => {
      const mischief = mischiefs[(n / versions.length) % mischiefs.length] ?? 0
      return new RandomRoom(version, firstSeed + n + v, { mischief })
    })
    for (const [place, answer] of (await oracle.ask(rooms)).entries()) {
      const { verdicts, resolutions, differences } = compare(rooms[place] as RandomRoom, answer)
      totals.verdicts += verdicts
      totals.resolutions += resolutions
      for (const { about, explanation } of differences) {
        if (explanation === undefined) unexplained.push(about)
        else tally.set(explanation, (tally.get(explanation) ?? 0) + 1)
      }
    }
  }

  t.diagnostic(`${totals.verdicts} verdicts, ${totals.resolutions} resolutions compared`)
  for (const [explanation, count] of tally) {
    t.diagnostic(`${count} differences explained by: ${explanation}`)
    assert.ok(explained.includes(`\n## ${explanation}\n`), `explained.md lacks: ${explanation}`)
  }
  assert.deepEqual(unexplained, [])
})
