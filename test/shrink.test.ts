/**
 * That failures of the simulation are made small: against failures whose causes are known.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { randomRun } from './simulation/random-run.ts'
import type { Scenario } from './simulation/scenario.ts'
import { type Failure, kindOf, shrink } from './simulation/shrink.ts'

const parts = Array.from({ length: 60 }, (_, index) => `part ${index}`)

/** Fails as `problem` if all of `causes` come about. */
function failing(causes: readonly string[], problem = 'lost $abc') {
  return async ({ keeps = parts }: Scenario): Promise<Failure> => ({
    met: [...keeps],
    problems: causes.every((part) => keeps.includes(part)) ? [problem] : [],
  })
}

test('exactly the causes of a failure are left, wherever they are', async () => {
  const subset = fc.uniqueArray(fc.constantFrom(...parts), { minLength: 1, maxLength: 6 })
  await fc.assert(
    fc.asyncProperty(subset, async (causes) => {
      const live = failing(causes)
      const { keeps } = await shrink(7, await live({ seed: 7 }), live)
      assert.deepEqual(
        keeps,
        parts.filter((part) => causes.includes(part)),
      )
    }),
  )
})

test('a failure of another kind is not what was looked for', async () => {
  const [lost, wrong] = [failing(['part 3', 'part 40']), failing(['part 3'], 'wrong state')]
  const live = async (scenario: Scenario): Promise<Failure> => {
    const found = await lost(scenario)
    return found.problems.length > 0 ? found : await wrong(scenario)
  }
  const { keeps, showed } = await shrink(7, await live({ seed: 7 }), live)
  assert.deepEqual(keeps, ['part 3', 'part 40'])
  assert.equal(showed, 'lost $abc')
})

test('what does not come about any more is left out too', async () => {
  const fails = failing(['part 5'])
  const live = async (scenario: Scenario): Promise<Failure> => {
    const outcome = await fails(scenario)
    // The sixth comes about only after the seventh.
    return {
      ...outcome,
      met: outcome.met.filter((part, _, met) => part !== 'part 6' || met.includes('part 7')),
    }
  }
  const { keeps } = await shrink(7, await live({ seed: 7 }), live)
  assert.deepEqual(keeps, ['part 5'])
})

test('a failure that needs more runs than there are is made as small as they allow', async () => {
  let runs = 0
  const fails = failing(['part 59'])
  const live = async (scenario: Scenario): Promise<Failure> => {
    runs += 1
    return await fails(scenario)
  }
  const { keeps } = await shrink(7, await fails({ seed: 7 }), live, { runsMax: 5 })
  assert.equal(runs, 5)
  assert.ok(keeps.length < parts.length && keeps.includes('part 59'))
})

test('problems are of one kind if only names and numbers differ', () => {
  const one =
    'version 5: $a+b/c of @u0:alpha.test:8448 is missing at beta.test:8448, and others have it'
  const other =
    'version 11: $xyz of @u1:gamma.test:8448 is missing at alpha.test:8448, and others have it'
  assert.equal(kindOf(one), kindOf(other))
  assert.notEqual(kindOf(one), kindOf('version 5: the timeline of @u0:alpha.test:8448 lacks $a'))
})

test('parts of a run that are left out do not come about, and leave others as they are', async () => {
  const whole = await randomRun({ seed: 12 })
  const [left, ...keeps] = whole.met.filter((part) => part.startsWith('step')).toReversed()
  const rest = new Set([...whole.met.filter((part) => !part.startsWith('step')), ...keeps])
  const fewer = await randomRun({ seed: 12, keeps: [...rest] })
  assert.deepEqual(
    fewer.met,
    whole.met.filter((part) => part !== left),
  )
  assert.deepEqual(fewer.problems, [])
  assert.equal((await randomRun({ seed: 12, keeps: whole.met })).trace, whole.trace)
})

test('a scenario that names what no run comes to any more fails', async () => {
  const { problems } = await randomRun({ seed: 12, keeps: ['server alpha', 'step 3: dance'] })
  assert.deepEqual(problems, ['never came to this: step 3: dance'])
})
