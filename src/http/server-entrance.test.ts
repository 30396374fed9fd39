import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { IncomingRequest } from '#io/http.ts'
import { VirtualTime } from '#io/simulated/simulated-clock.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import * as t from '#schema/schema.ts'
import { endpoint } from './endpoint.ts'
import { HeldRefusals } from './held-refusals.ts'
import { createServerEntrance } from './server-entrance.ts'

const asked = endpoint({
  operationId: 'asked',
  method: 'PUT',
  path: '/{txnId}',
  auth: 'server',
  response: t.json,
})

function scene() {
  const time = new VirtualTime()
  const clock = time.clock()
  const refused = new Set<string>()
  const enter = createServerEntrance({
    clock,
    isLimited: true,
    refusals: new HeldRefusals(clock),
    claimedOrigin: ({ headers }) => headers.authorization as ServerName | undefined,
    refusalOf: (_, origin, { txnId }) =>
      refused.has(origin) ? MatrixError.limitExceeded(1, `not ${txnId}`) : undefined,
  })
  const read: string[] = []
  /** Asks as a server, which is believed if it is `isBelieved`. */
  const ask = async (
    origin: string,
    {
      from = '10.0.0.1',
      isBelieved = true,
      length = 10,
      until = Promise.resolve(),
    }: { from?: string; isBelieved?: boolean; length?: number; until?: Promise<void> } = {},
  ): Promise<string> => {
    const headers = { authorization: origin, 'content-length': String(length) }
    const request = { headers, remoteAddress: from } as unknown as IncomingRequest
    try {
      return await enter({ endpoint: asked, request, params: { txnId: 't' } }, async () => {
        read.push(origin)
        await until
        if (!isBelieved) throw new MatrixError(401, 'M_UNAUTHORIZED', 'It is another.')
        return '200'
      })
    } catch (error) {
      assert.ok(error instanceof MatrixError)
      return `${error.status} ${error.message}`
    }
  }
  return { time, refused, read, ask }
}

test('who is known and asks too much is refused before anything is read, after a second', async () => {
  const { time, refused, read, ask } = scene()
  assert.equal(await time.await(ask('b')), '200')
  refused.add('b')
  const sinceMs = time.elapsedMs
  assert.equal(await time.await(ask('b')), '429 not t')
  assert.equal(time.elapsedMs - sinceMs, 1000)
  assert.deepEqual(read, ['b'])
})

test('nobody is refused for what others do in their name', async () => {
  const { time, refused, read, ask } = scene()
  refused.add('b')
  // Who has not proved to be it is read, and found out.
  assert.equal(await time.await(ask('b', { isBelieved: false })), '401 It is another.')
  assert.equal(await time.await(ask('b', { isBelieved: false })), '401 It is another.')
  refused.clear()
  assert.equal(await time.await(ask('b')), '200')
  refused.add('b')
  // From elsewhere it may be another.
  assert.equal(
    await time.await(ask('b', { from: '10.0.0.2', isBelieved: false })),
    '401 It is another.',
  )
  assert.equal(read.length, 4)
})

test('of a flood each request waits its turn, and another server is not behind it', async () => {
  const { time, read, ask } = scene()
  const flood = Array.from({ length: 50 }, () => ask('flood'))
  const honest = ask('honest', { from: '10.0.0.2' })
  await time.await(Promise.all([...flood, honest]))
  assert.deepEqual(read.slice(0, 3), ['flood', 'flood', 'honest'])
})

test('large bodies of a server are read one at a time, small ones beside them', async () => {
  const { time, refused, read, ask } = scene()
  const gate = Promise.withResolvers<void>()
  const large = { length: 100_000 }
  const first = ask('b', { ...large, until: gate.promise })
  await time.run(1)
  const others = [ask('b', large), ask('b', large)]
  assert.equal(await time.await(ask('b')), '200')
  assert.equal(await time.await(ask('c', large)), '200')
  assert.deepEqual(read, ['b', 'b', 'c'])
  gate.resolve()
  refused.add('b')
  // What came meanwhile is not read any more.
  assert.deepEqual(await time.await(Promise.all([first, ...others])), [
    '200',
    '429 not t',
    '429 not t',
  ])
  assert.deepEqual(read, ['b', 'b', 'c'])
})

test('more than sixteen megabytes a second of one address wait to be read', async () => {
  const { time, read, ask } = scene()
  const large = { length: 16 * 1024 * 1024 }
  const all = Array.from({ length: 9 }, () => ask('b', large))
  await time.run(10)
  // Four are let through, and the one that goes beyond.
  assert.equal(read.length, 5)
  const sinceMs = time.elapsedMs
  assert.equal(await time.await(ask('c', { ...large, from: '10.0.0.2' })), '200')
  assert.ok(time.elapsedMs - sinceMs < 10)
  await time.await(Promise.all(all))
  assert.ok(time.elapsedMs - sinceMs >= 3900)
})
