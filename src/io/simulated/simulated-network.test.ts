import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HttpFailure, type OutgoingRequest } from '../http.ts'
import { VirtualTime } from './simulated-clock.ts'
import { calmNetwork, SimulatedNetwork } from './simulated-network.ts'
import { seededRandom } from './simulated-random.ts'

const request: OutgoingRequest = {
  method: 'PUT',
  protocol: 'https:',
  hostname: 'b.test',
  port: 8448,
  hostHeader: 'b.test',
  tlsName: 'b.test',
  target: '/hello?x=%2F',
  headers: { 'X-Thing': '1' },
  body: 'hi',
  timeoutMs: 10_000,
  answerBytesMax: 100,
}

/** A host `b.test` that counts what reaches it and answers with its number. */
async function world(seed = 1) {
  const time = new VirtualTime()
  const network = new SimulatedNetwork(time.clock(), seededRandom(seed))
  network.name('b.test', '10.0.0.2')
  const seen: string[] = []
  await network.listen('10.0.0.2')(
    { host: '10.0.0.2', port: 8448, tls: { cert: 'b.test', key: '' } },
    async (incoming) => {
      const body = new TextDecoder().decode(await incoming.body(10))
      seen.push(`${incoming.method} ${incoming.target} ${incoming.headers['x-thing']} ${body}`)
      return { status: 200, headers: { 'A-B': 'c' }, body: new TextEncoder().encode('ok') }
    },
  )
  const client = network.client('10.0.0.1', time.clock())
  /** The outcome of one request: its status, or the kind of its failure. */
  const ask = async (changes: Partial<OutgoingRequest> = {}) => {
    try {
      return (await time.await(client.request({ ...request, ...changes }))).status
    } catch (error) {
      assert.ok(error instanceof HttpFailure, String(error))
      return error.kind
    }
  }
  return { time, network, seen, ask }
}

test('a request arrives as it was sent', async () => {
  const { seen, ask } = await world()
  assert.equal(await ask(), 200)
  assert.deepEqual(seen, ['PUT /hello?x=%2F 1 hi'])
})

test('what a network can refuse', async () => {
  const { network, ask } = await world()
  assert.equal(await ask({ port: 1 }), 'connect')
  assert.equal(await ask({ tlsName: 'c.test' }), 'tls')
  assert.equal(await ask({ protocol: 'http:' }), 'tls')
  assert.equal(await ask({ answerBytesMax: 1 }), 'too-large')
  network.silence('10.0.0.2')
  assert.equal(await ask(), 'connect')
})

test('a cut is in one direction, and heals', async () => {
  const { network, seen, ask } = await world()
  network.cut('10.0.0.1', '10.0.0.2')
  assert.equal(await ask(), 'timeout')
  assert.equal(seen.length, 0)
  network.healAll()
  network.cut('10.0.0.2', '10.0.0.1')
  assert.equal(await ask(), 'timeout')
  assert.equal(seen.length, 1)
  network.heal('10.0.0.2', '10.0.0.1')
  assert.equal(await ask(), 200)
})

test('faults happen as often as they are told to, the same way for the same seed', async () => {
  const outcomes = async (seed: number) => {
    const { network, seen, ask } = await world(seed)
    network.faults = { ...calmNetwork, requestLoss: 0.2, answerLoss: 0.2, repetition: 0.2 }
    const results: unknown[] = []
    for (let count = 0; count < 300; count += 1) results.push(await ask())
    return { results, arrived: seen.length }
  }
  const first = await outcomes(7)
  assert.deepEqual(await outcomes(7), first)
  assert.notDeepEqual((await outcomes(8)).results, first.results)
  const failed = first.results.filter((result) => result === 'timeout').length
  assert.ok(failed > 60 && failed < 150, `${failed} failed`)
  assert.ok(first.arrived > 240 && first.arrived < 340, `${first.arrived} arrived`)
})

test('what stands between two hosts can answer, fail, or change an answer', async () => {
  const { network, seen, ask } = await world()
  const empty = { status: 502, headers: {}, body: new Uint8Array() }
  network.interfere = ({ from, to, request: { target } }) =>
    from === '10.0.0.1' && to === '10.0.0.2' && target === '/between'
      ? { answer: empty }
      : undefined
  assert.equal(await ask(), 200)
  assert.equal(await ask({ target: '/between' }), 502)
  network.interfere = () => ({ failure: new HttpFailure('broken', 'the connection was reset') })
  assert.equal(await ask(), 'broken')
  assert.equal(seen.length, 1, 'none of these arrived')
  network.interfere = () => ({ replace: (answer) => ({ ...answer, status: answer.status + 1 }) })
  assert.equal(await ask(), 201)
  network.interfere = () => ({ replace: () => new HttpFailure('broken', 'while it answered') })
  assert.equal(await ask(), 'broken')
  assert.equal(seen.length, 3, 'these were worked on')
})
