import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hostA, hostB, sampleEvent, versionOf } from '../../test/signed-events.ts'
import { signingKeyOf } from '../protocol/ed25519.ts'
import type { PduChecker } from './pdu-checker.ts'
import { pduCheckerInPlace } from './pdu-checker-in-place.ts'
import { pduCheckerWorkers } from './pdu-checker-workers.ts'
import { realClock } from './real-clock.ts'

const keys = [hostA.verifyKey, hostB.verifyKey]

/** Good events, redacted ones, ones with other numbers, and garbage, in turn. */
function mixed(versionId: string, count: number): Uint8Array[] {
  const version = versionOf(versionId)
  const { json } = sampleEvent(version)
  const text = (event: unknown) => Buffer.from(JSON.stringify(event))
  return Array.from({ length: count }, (_, index) => {
    const { bytes } = sampleEvent(version, { depth: index + 1 })
    switch (index % 5) {
      case 0:
        return text({ ...JSON.parse(Buffer.from(bytes).toString()), unsigned: { age: index } })
      case 1:
        return text({ ...json, content: { body: 'another' } })
      case 2:
        return text({ ...json, content: { float: JSON.rawJSON('1.0') } })
      case 3:
        return index % 2 ? Buffer.from('{') : text({ ...json, depth: index + 100 })
      default:
        return bytes
    }
  })
}

for (const [threads, count, versionId] of [
  [1, 9, '11'],
  [1, 10, '11'],
  [2, 333, '12'],
  [2, 200, '1'],
  [1, 70, '5'],
] as const) {
  test(`${count} PDUs of version ${versionId} on ${threads} threads are checked as in place`, async () => {
    await using checker = disposable(pduCheckerWorkers(realClock, threads))
    const pdus = mixed(versionId, count)
    const version = versionOf(versionId)
    const checked = await checker.check(version, pdus, keys)
    assert.deepEqual(checked, await pduCheckerInPlace(realClock).check(version, pdus, keys))
    assert.equal(checked.length, count)
  })
}

test('the bytes that were given stay with who gave them, and what is kept stands alone', async () => {
  await using checker = disposable(pduCheckerWorkers(realClock, 1))
  const pdus = mixed('11', 20)
  const copies = pdus.map((bytes) => Buffer.from(bytes))
  const checked = await checker.check(versionOf('11'), pdus, keys)
  assert.deepEqual(
    pdus.map((bytes) => Buffer.from(bytes)),
    copies,
  )
  for (const one of checked) {
    if (one.ok) assert.equal(one.pdu.bytes.buffer.byteLength, one.pdu.bytes.length)
  }
})

test('the rule for references reaches the threads', async () => {
  await using checker = disposable(pduCheckerWorkers(realClock, 1))
  const json = JSON.parse(Buffer.from(sampleEvent(versionOf('11')).bytes).toString())
  const prev_events = Array.from({ length: 21 }, (_, index) => `$${index}`)
  const pdus = Array.from({ length: 10 }, () =>
    Buffer.from(JSON.stringify({ ...json, prev_events })),
  )
  const reasons = async (references?: 'limited' | 'unlimited') => {
    const checked = await checker.check(versionOf('11'), pdus, keys, references)
    return new Set(checked.map((one) => (one.ok ? '' : one.reason)))
  }
  const wrong = 'the signature of a.example with ed25519:a is wrong'
  assert.deepEqual(await reasons(), new Set(['bad prev_events']))
  assert.deepEqual(await reasons('unlimited'), new Set([wrong]))
})

test('many batches at a time, each with its own keys, are answered rightly', async () => {
  await using checker = disposable(pduCheckerWorkers(realClock, 2))
  const pdus = mixed('11', 150).filter((_, index) => index % 5 === 0)
  const batches = Array.from({ length: 8 }, (_, index) =>
    checker.check(versionOf('11'), pdus, index % 2 ? keys : [hostB.verifyKey]),
  )
  for (const [index, checked] of (await Promise.all(batches)).entries()) {
    assert.deepEqual(new Set(checked.map(({ ok }) => ok)), new Set([index % 2 === 1]))
  }
})

test('a small batch is answered while a large one is being checked', async () => {
  await using checker = disposable(pduCheckerWorkers(realClock, 1))
  const done: string[] = []
  const large = checker
    .check(versionOf('11'), mixed('11', 2000), keys)
    .then(() => done.push('large'))
  const small = checker.check(versionOf('11'), mixed('11', 20), keys).then(() => done.push('small'))
  await Promise.all([large, small])
  assert.deepEqual(done, ['small', 'large'])
})

test('a batch of few but large PDUs goes to a thread', async () => {
  await using checker = disposable(pduCheckerWorkers(realClock, 1))
  const content = { body: 'a'.repeat(60_000) }
  const pdus = Array.from({ length: 6 }, () => sampleEvent(versionOf('11'), { content }).bytes)
  const checked = await checker.check(versionOf('11'), pdus, keys)
  assert.deepEqual(
    checked.map(({ ok }) => ok),
    [true, true, true, true, true, true],
  )
})

test('no PDUs are no answers', async () => {
  await using checker = disposable(pduCheckerWorkers(realClock, 1))
  assert.deepEqual(await checker.check(versionOf('11'), [], keys), [])
})

test('the signature over much is checked on a thread as in place, and keeps no PDUs waiting', async () => {
  await using checker = disposable(pduCheckerWorkers(realClock, 2))
  const signer = signingKeyOf(new Uint8Array(32).fill(1))
  const body = (of: string) => JSON.stringify({ a: 1, b: of.repeat(5_000_000) })
  const around = { before: Buffer.from('{"content":'), after: Buffer.from(',"uri":"/"}') }
  const text = Buffer.concat([around.before, Buffer.from(body('x')), around.after])
  const signed = { ...around, publicKey: signer.publicKey, signature: signer.sign(text) }
  const content = Buffer.from(body('x'))
  const order: unknown[] = []
  const asked = [
    content,
    // Written in another way.
    Buffer.from(JSON.stringify({ b: 'x'.repeat(5_000_000), a: 1 }, undefined, 1)),
    Buffer.from(body('y')),
  ].map(async (one) => {
    const isSigned = await checker.checkContent(signed, one)
    order.push(isSigned)
    return isSigned
  })
  const checked = await checker.check(versionOf('11'), mixed('11', 20), keys)
  order.push(checked.length)
  assert.deepEqual(await Promise.all(asked), [true, true, false])
  assert.notEqual(order.at(-1), 20)
  assert.equal(content.toString(), body('x'))
})

test('closing fails what is not answered, and nothing is checked afterwards', async () => {
  const checker = pduCheckerWorkers(realClock, 1)
  const pending = checker.check(versionOf('11'), mixed('11', 1000), keys)
  const failed = assert.rejects(pending, /a thread that checked PDUs ended/)
  const none = new Uint8Array(64)
  const signed = { before: none, after: none, publicKey: none, signature: none }
  const content = checker.checkContent(signed, none)
  const contentFailed = assert.rejects(content, /a thread that checked PDUs ended/)
  await checker.close()
  await failed
  await contentFailed
  await assert.rejects(checker.check(versionOf('11'), mixed('11', 100), keys), /closed/)
})

function disposable(checker: PduChecker): PduChecker & AsyncDisposable {
  return { ...checker, [Symbol.asyncDispose]: () => checker.close() }
}
