/** Stages that are proved one after the other count for one operation, once, and for a while. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { VirtualTime } from '#io/simulated/simulated-clock.ts'
import { seededRandom } from '#io/simulated/simulated-random.ts'
import type { JsonObject } from '#protocol/json.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import { createInteractiveAuth, type Stage } from './interactive-auth.ts'

const both: readonly (readonly Stage[])[] = [['m.login.registration_token', 'm.login.password']]

function world() {
  const time = new VirtualTime()
  const auth = createInteractiveAuth({ clock: time.clock(), random: seededRandom(1) })
  /** What is answered: nothing if all is proved, else the session and what is done in it. */
  const ask = async (operation: string, given?: JsonObject) => {
    const checkStage = async (_: Stage, { good }: JsonObject) => {
      if (good !== true) throw new MatrixError(401, 'M_FORBIDDEN', 'That is not right.')
    }
    try {
      await auth.complete({ operation, flows: both, auth: given, checkStage })
      return undefined
    } catch (error) {
      assert.ok(error instanceof MatrixError)
      assert.equal(error.status, 401)
      const { session, completed = [] } = error.extra
      return { session: String(session), completed }
    }
  }
  return { time, ask }
}

const token = { type: 'm.login.registration_token', good: true }
const password = { type: 'm.login.password', good: true }

test('stages are proved one after the other, and then the operation is done once', async () => {
  const { ask } = world()
  const begun = await ask('one')
  const { session = '' } = begun ?? {}
  assert.deepEqual(begun, { session, completed: [] })
  const halfway = { session, completed: ['m.login.registration_token'] }
  assert.deepEqual(await ask('one', { ...token, session }), halfway)
  // What is wrong takes nothing away, and what was proved is not asked for again.
  assert.deepEqual(await ask('one', { ...password, good: false, session }), halfway)
  assert.deepEqual(await ask('one', { session }), halfway)
  assert.equal(await ask('one', { ...password, session }), undefined)
  const again = await ask('one', { session })
  assert.deepEqual(again?.completed, [])
  assert.notEqual(again?.session, session)
})

test('a stage that was proved for one operation does not count for another', async () => {
  const { ask } = world()
  const { session = '' } = (await ask('one', token)) ?? {}
  const other = await ask('another', { ...password, session })
  assert.deepEqual(other?.completed, ['m.login.password'])
  assert.notEqual(other?.session, session)
  // The other way round, and the first goes on as it was.
  assert.notEqual(await ask('one', { session: other?.session ?? '' }), undefined)
  assert.equal(await ask('one', { ...password, session }), undefined)
})

test('what was proved a quarter of an hour ago is proved no longer', async () => {
  const { ask, time } = world()
  const { session = '' } = (await ask('one', token)) ?? {}
  await time.run(900_000)
  assert.deepEqual((await ask('one', { session }))?.completed, ['m.login.registration_token'])
  await time.run(1)
  const late = await ask('one', { ...password, session })
  assert.deepEqual(late?.completed, ['m.login.password'])
  assert.notEqual(late?.session, session)
})

test('a session that nobody was given is none', async () => {
  const { ask } = world()
  for (const session of ['', 'x', '__proto__']) {
    const answer = await ask('one', { ...password, session })
    assert.notEqual(answer?.session, session)
    assert.deepEqual(answer?.completed, ['m.login.password'])
  }
})
