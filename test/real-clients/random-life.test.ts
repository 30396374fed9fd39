/**
 * The library of most clients lives on two Hansas at random; in the end what each client has is what its
 * server says when it is asked anew.
 *
 * `HANSA_TEST_ACTIONS=1000 HANSA_TEST_SEED=7` do more, and others. What they do is the seed's, how it
 * interleaves is not. Run it with
 * `--test-force-exit`: the library leaves a timer behind for each request.
 *
 * @module
 */

import { before, mock, test } from 'node:test'
import { seededRandom } from '../../src/io/simulated/simulated-random.ts'
import { eventually } from '../rig/client.ts'
import { wasCut } from './random-client.ts'
import { RandomLife } from './random-life.ts'
import { differences } from './random-views.ts'
import { twoHansas } from './two-hansas.ts'

const actions = Number(process.env.HANSA_TEST_ACTIONS ?? 150)
const seed = Number(process.env.HANSA_TEST_SEED ?? 1)
const calmEvery = 250
/** How many lines of what was done a failure shows. */
const linesMax = 200

const servers = twoHansas()

before(() => {
  // The library tells all that it does.
  for (const level of ['debug', 'info', 'warn', 'error'] as const)
    mock.method(console, level).mock.mockImplementation(() => {})
  // It leaves it unhandled if what it asks for by itself, such as the relations of a thread, fails.
  const others = process.listeners('unhandledRejection')
  process.removeAllListeners('unhandledRejection')
  process.on('unhandledRejection', (failure, promise) => {
    if (!wasCut(failure)) for (const listener of others) listener(failure, promise)
  })
})

test(`after ${actions} random actions of seed ${seed} clients see what servers say`, async (t) => {
  const life = await RandomLife.start(servers, seededRandom(seed))
  t.after(() => life.stop())
  try {
    for (let count = 1; count <= actions; count += 1) {
      await life.act()
      if (count % calmEvery === 0 || count === actions) await agreed(life)
    }
  } catch (error) {
    const told = [`seed ${seed}`, ...linesAbout(life, String(error))]
    throw new Error([...told, ...servers.map((it) => it.logTail(10))].join('\n'), { cause: error })
  }
  t.diagnostic(`${life.log.filter((line) => /: M_/.test(line)).length} were refused`)
})

/** Waits until nothing differs. */
async function agreed(life: RandomLife): Promise<void> {
  await life.calm()
  await eventually('clients see what servers say', async () => {
    const found: string[] = []
    for (const who of life.people) found.push(...(await differences(who, life.roomIds)))
    if (found.length > 0) throw new Error(found.join('\n').slice(0, 20_000))
    return true
  })
}

/** What was done in the rooms that a failure names, and what was done last. */
function linesAbout({ log, roomIds }: RandomLife, failure: string): string[] {
  const rooms = roomIds.filter((roomId) => failure.includes(roomId))
  const isAbout = (line: string) =>
    / (restart|disconnect|reconnects)$/.test(line) || rooms.some((roomId) => line.includes(roomId))
  const last = log.length - 10
  return log.filter((line, index) => index > last || isAbout(line)).slice(-linesMax)
}
