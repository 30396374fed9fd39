/**
 * What fuzzing has found stays mended, and its targets stay alive: each runs what was kept for it, and
 * some inputs that are the same each time.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { fuzz } from './fuzz/fuzz.ts'
import { judge } from './fuzz/judge.ts'
import { regressInputs } from './fuzz/regress.ts'
import { targets } from './fuzz/targets.ts'
import { Watchdog } from './fuzz/watchdog.ts'

const inputs = regressInputs()
const seed = 1
const watchdog = new Watchdog({ seed })

after(() => watchdog.end())

for (const [name, open] of targets) {
  test(`${name}: what was found is mended, and the first inputs pass`, async () => {
    const target = await open()
    for (const { input, file } of inputs.filter((one) => one.target === name)) {
      const finding = await judge(target, input, { watchdog })
      assert.equal(finding?.text, undefined, file)
    }
    const runsMax = target.quickRuns ?? 200
    const { runs, found } = await fuzz(target, { seed, runsMax, watchdog })
    assert.ok(runs >= runsMax)
    for (const { finding, input } of found) {
      assert.fail(`${JSON.stringify(Buffer.from(input).toString())}: ${finding.text}`)
    }
  })
}

test('every input that was kept is of a target', () => {
  for (const { target, file } of inputs) assert.ok(targets.has(target), file)
})
