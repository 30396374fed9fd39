/**
 * An input that never ends is not lost: it is kept and told, and ends the run as failed.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { temporaryFolder } from './databases.ts'
import { fuzz } from './fuzz/fuzz.ts'
import { RunningInput } from './fuzz/running-input.ts'
import { shrink } from './fuzz/shrink.ts'
import type { Target } from './fuzz/target.ts'
import { Watchdog } from './fuzz/watchdog.ts'

const seed = 7
const input = 'what never ends\n\u{1f40d}'
const seeds = [input]

const neverEnding: readonly Target[] = [
  {
    name: 'keeps-the-thread',
    seeds,
    run() {
      for (;;);
    },
  },
  { name: 'waits-for-nothing', seeds, run: () => new Promise<void>(() => {}) },
]

/** What this file does when the tests start it: a process ends by it. */
async function runs(target: Target, how: string | undefined): Promise<void> {
  const watchdog = new Watchdog({ seed, msMax: 100 })
  if (how === 'shrink') await shrink(target, { input: Buffer.from(input), kind: 'slow', watchdog })
  else await fuzz(target, { seed, runsMax: 10, watchdog })
}

/** Gives the input that is kept when such a process has ended as failed. */
function keptByRun(t: TestContext, name: string, how: 'fuzz' | 'shrink'): string {
  const { NODE_TEST_CONTEXT: _, CI: __, ...env } = process.env
  // Only a watchdog that does not work takes so long.
  const options = { cwd: temporaryFolder(t), env, timeout: 60_000 }
  const ended = spawnSync(process.execPath, [import.meta.filename, name, how], options)
  const said = ended.stdout.toString()
  assert.notEqual(ended.status, 0)
  assert.ok(said.includes(`✖ ${name}, seed 7: an input has not ended after 0.1 s\n`), said)
  const [file = ''] = /test\/fuzz\/regress\/[^:]*/.exec(said) ?? []
  return readFileSync(join(options.cwd, file), 'utf8')
}

const [, , wanted, how] = process.argv
const target = neverEnding.find(({ name }) => name === wanted)
if (target !== undefined) await runs(target, how)
else {
  for (const { name } of neverEnding) {
    test(`${name}: an input that never ends is kept, and the run ends as failed`, (t) => {
      assert.equal(keptByRun(t, name, 'fuzz'), input)
    })

    test(`${name}: so is one that comes up where another is made small`, (t) => {
      const kept = keptByRun(t, name, 'shrink')
      assert.ok(kept.length < input.length && input.endsWith(kept))
    })
  }

  test('an input is told that has run since the question before, and no other', () => {
    const running = new RunningInput()
    const seen = new RunningInput(running.memory)
    assert.equal(seen.sinceLastAsked(), undefined)
    running.begin('json', Buffer.from('{}'))
    assert.equal(seen.sinceLastAsked(), undefined)
    running.ended()
    running.begin('pdu', Buffer.from([0xff, 0]))
    assert.equal(seen.sinceLastAsked(), undefined)
    const { target, input } = seen.sinceLastAsked() ?? assert.fail()
    assert.deepEqual([target, ...input], ['pdu', 0xff, 0])
    running.ended()
    for (let asked = 0; asked < 3; asked += 1) assert.equal(seen.sinceLastAsked(), undefined)
  })
}
