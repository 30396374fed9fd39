/**
 * The keyring against servers that tell the truth, lie, or are gone, and against a notary that is
 * this program too.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeBase64 } from '#protocol/base64.ts'
import { canonicalJson } from '#protocol/canonical-json.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import type { Json, JsonObject } from '#protocol/json.ts'
import { signJson } from '#protocol/signatures.ts'
import {
  type Answer,
  dayMs,
  first,
  notaryName,
  notarySigner,
  openKeyring as open,
  published,
  second,
  them,
  us,
} from '../../test/key-world.ts'
import { createNotary } from './notary.ts'
import { createOwnKeys } from './own-keys.ts'

test('a key is fetched once and kept, in memory and in the store', async () => {
  const world = await open()
  world.answers.set(them, () => published([first, second], world.clock.now() + dayMs))
  assert.deepEqual(await world.check(['ed25519:k2']), ['ed25519:k2 1'])
  assert.deepEqual(await world.check(['ed25519:k3', 'ed25519:k2']), [
    'ed25519:k3 1',
    'ed25519:k2 1',
  ])
  assert.equal(world.asked.length, 1)
  const restarted = await open({ image: world.image })
  assert.deepEqual(await restarted.check(['ed25519:k2']), ['ed25519:k2 1'])
  assert.equal(restarted.asked.length, 0)
})

test('our own key is at hand, and nobody is asked', async () => {
  const { check, asked } = await open()
  assert.match(
    (await check(['ed25519:k1', 'ed25519:x'], 0, us.serverName))[0] ?? '',
    /^ed25519:k1 \d+/,
  )
  assert.equal(asked.length, 0)
})

const lies: [string, (until: number) => Answer][] = [
  ['is about another server', (until) => published([first], until, { server_name: 'else.test' })],
  ['is not signed', (until) => ({ ...published([first], until), signatures: {} })],
  ['is changed after it was signed', (until) => ({ ...published([first], until), x: 1 })],
  [
    'is signed with a key that is not in it',
    (until) =>
      published([{ ...second, keyId: first.keyId }], until, {
        verify_keys: { [first.keyId]: { key: encodeBase64(first.publicKey) } },
      }),
  ],
  ['has no end', () => published([first], 0, { valid_until_ts: '5' })],
  ['has no keys', (until) => published([first], until, { verify_keys: [] })],
  ['is no object', () => '[]'],
  ['is no JSON', () => '<html>'],
  [
    'has a key twice',
    (until) => JSON.stringify(published([first], until)).replace('{', '{"server_name":"x",'),
  ],
]

for (const [name, lie] of lies) {
  test(`an answer that ${name} is not believed`, async () => {
    const world = await open()
    world.answers.set(them, () => lie(world.clock.now() + dayMs))
    assert.deepEqual(await world.check(['ed25519:k2']), [])
    assert.equal((await world.keyring.stored(them)).length, 0)
  })
}

test('a key with the ID of a known one is an alarm, and the known one stays', async () => {
  const world = await open()
  world.answers.set(them, () => published([first], world.clock.now() + 1000))
  await world.check(['ed25519:k2'])
  const thief = { ...second, keyId: 'ed25519:k2' }
  world.answers.set(them, () => published([thief, second], world.clock.now() + dayMs))
  await world.time.run(70_000)
  assert.deepEqual(await world.check(['ed25519:k2', 'ed25519:k3']), [
    'ed25519:k2 0',
    'ed25519:k3 1',
  ])
  assert.equal(world.alarms.length, 1)
  const restarted = await open({ image: world.image })
  assert.deepEqual(await restarted.check(['ed25519:k3', 'ed25519:k2']), [
    'ed25519:k3 1',
    'ed25519:k2 0',
  ])
})

test('keys are good for seven days at most, then asked for anew', async () => {
  const world = await open()
  world.answers.set(them, () => published([first], world.clock.now() + 9999 * dayMs))
  assert.deepEqual(await world.check(['ed25519:k2']), ['ed25519:k2 7'])
  await world.time.run(8 * dayMs)
  assert.deepEqual(await world.check(['ed25519:k2']), ['ed25519:k2 7'])
  assert.equal(world.asked.length, 2)
})

test('an expired key is known with the time of its end, and not asked for again', async () => {
  const world = await open()
  const old = {
    [first.keyId]: {
      key: encodeBase64(first.publicKey),
      expired_ts: world.clock.now() - 2 * dayMs,
    },
  }
  world.answers.set(them, () =>
    published([second], world.clock.now() + dayMs, { old_verify_keys: old }),
  )
  assert.deepEqual(await world.check(['ed25519:k2']), ['ed25519:k2 -2'])
  await world.time.run(70_000)
  await world.check(['ed25519:k2'])
  assert.equal(world.asked.length, 1)
})

test('a key that is dropped without a word stays in the archive', async () => {
  const world = await open()
  world.answers.set(them, () => published([first], world.clock.now() + dayMs))
  await world.check(['ed25519:k2'])
  world.answers.set(them, () => published([second], world.clock.now() + dayMs))
  await world.time.run(70_000)
  assert.deepEqual(await world.check(['ed25519:k3', 'ed25519:k2']), [
    'ed25519:k3 1',
    'ed25519:k2 1',
  ])
})

test('questions at the same time are one, and a silent server is asked ever less often', async () => {
  const world = await open()
  await Promise.all(Array.from({ length: 20 }, () => world.check(['ed25519:k2'])))
  assert.equal(world.asked.length, 1)
  for (let second = 0; second < 3600; second += 1) {
    await world.time.run(1000)
    await world.check(['ed25519:k2'])
  }
  assert.ok(world.asked.length >= 14 && world.asked.length <= 20, `${world.asked.length}`)
  world.answers.set(them, () => published([first], world.clock.now() + dayMs))
  await world.time.run(300_000)
  assert.equal((await world.check(['ed25519:k2'])).length, 1)
})

/** A world with a notary, which is another keyring that knows `them` while we cannot reach them. */
async function withNotary(forge: (answer: JsonObject) => JsonObject = (answer) => answer) {
  const theirs = await open()
  const world = await open({ notaries: ['dead.test' as ServerName, notaryName] })
  theirs.answers.set(them, () => published([first], theirs.clock.now() + dayMs))
  const ownKeys = createOwnKeys(notarySigner, theirs.clock)
  const { keyring, clock } = theirs
  const notary = createNotary({ keyring, signer: notarySigner, clock, ownKeys })
  world.answers.set(notaryName, async (target, body) => {
    if (target === '/_matrix/key/v2/server') return ownKeys()
    const questions = Object.entries(body.server_keys as Record<string, JsonObject>)
    const answers = await notary.answer(
      questions.map(([server, keys]) => ({
        server,
        keys: new Map(Object.keys(keys).map((keyId) => [keyId, undefined])),
      })),
    )
    return { server_keys: answers.map(forge) }
  })
  return { world, theirs }
}

test('a notary helps where the server does not answer, with both signatures', async () => {
  const { world } = await withNotary()
  assert.deepEqual(await world.check(['ed25519:k2']), ['ed25519:k2 1'])
  const [row] = await world.keyring.stored(them)
  assert.equal(row?.fetched_from, notaryName)
})

test('one request asks a notary about many servers', async () => {
  const { world, theirs } = await withNotary()
  // For one request the notary asks few servers anew; what it knows, it tells.
  await theirs.check(['ed25519:k2'])
  const needs = Array.from({ length: 40 }, (_, index) => ({
    server: `gone${index}.test` as ServerName,
    keyId: 'ed25519:x',
    at: world.clock.now(),
  }))
  const all = [...needs, { server: them, keyId: 'ed25519:k2', at: world.clock.now() }]
  assert.equal((await world.time.await(world.keyring.verifyKeys(all))).length, 1)
  assert.equal(
    world.asked.filter((line) => line === `${notaryName} /_matrix/key/v2/query`).length,
    1,
  )
})

test('a notary whose keys are not known yet helps with more servers than are asked at once', async () => {
  const { world, theirs } = await withNotary()
  await theirs.check(['ed25519:k2'])
  const at = world.clock.now()
  const gone = Array.from({ length: 120 }, (_, index) => {
    return { server: `gone${index}.test` as ServerName, keyId: 'ed25519:x', at }
  })
  const all = [...gone, { server: them, keyId: 'ed25519:k2', at }]
  assert.equal((await world.time.await(world.keyring.verifyKeys(all))).length, 1)
})

test('who needs keys of a notary that is away, and of others at once, waits for nobody for ever', async () => {
  const world = await open({ notaries: [notaryName, 'second.test' as ServerName] })
  const servers = [notaryName, them, 'second.test' as ServerName]
  const needs = (keyId: string) =>
    servers.map((server) => ({ server, keyId, at: world.clock.now() }))
  assert.deepEqual(await world.time.await(world.keyring.verifyKeys(needs('ed25519:k4'))), [])
  // Its keys are had when it is back.
  world.answers.set(notaryName, createOwnKeys(notarySigner, world.clock))
  await world.time.run(600_000)
  const found = await world.time.await(world.keyring.verifyKeys(needs('ed25519:k4')))
  assert.deepEqual(
    found.map(({ server }) => server),
    [notaryName],
  )
})

const forgeries: [string, (answer: JsonObject) => JsonObject][] = [
  [
    'does not sign',
    (answer) => ({ ...answer, signatures: { [them]: signaturesOf(answer)[them] ?? {} } }),
  ],
  [
    'drops the signature of the server',
    (answer) => ({
      ...answer,
      signatures: { [notaryName]: signaturesOf(answer)[notaryName] ?? {} },
    }),
  ],
  [
    'changes the end',
    (answer) => signJson({ ...answer, valid_until_ts: 253_402_300_799_000 }, notarySigner),
  ],
  [
    'gives a key of its own making',
    () =>
      signJson(
        published([{ ...notarySigner, serverName: them, keyId: 'ed25519:k2' }], 1e15, {
          server_name: 'x',
        }),
        notarySigner,
      ),
  ],
]

function signaturesOf(answer: JsonObject): Record<string, Json> {
  return answer.signatures as Record<string, Json>
}

for (const [name, forge] of forgeries) {
  test(`a notary that ${name} is not believed`, async () => {
    const { world } = await withNotary(forge)
    assert.deepEqual(await world.check(['ed25519:k2']), [])
  })
}

test('as a notary we ask anew when what we have is too old, and give what we have when we cannot', async () => {
  const world = await open()
  const ownKeys = createOwnKeys(us, world.clock)
  const notary = createNotary({ keyring: world.keyring, signer: us, clock: world.clock, ownKeys })
  const ask = async (server: string, minimumValidUntilTs?: number) =>
    await world.time.await(notary.answer([{ server, keys: new Map(), minimumValidUntilTs }]))
  world.answers.set(them, () => published([first], world.clock.now() + dayMs))
  assert.deepEqual(Object.keys(signaturesOf((await ask(them))[0] ?? {})), [them, us.serverName])
  await ask(them)
  assert.equal(world.asked.length, 1)
  await world.time.run(70_000)
  await ask(them, world.clock.now() + 2 * dayMs)
  assert.equal(world.asked.length, 2)
  world.answers.delete(them)
  await world.time.run(30 * dayMs)
  assert.equal((await ask(them)).length, 1)
  assert.deepEqual(await ask('never.test'), [])
  assert.deepEqual(await ask('no server name'), [])
  assert.equal((await ask(us.serverName))[0]?.server_name, us.serverName)
})

test('as a notary we let only so many look-ups wait, however often we are asked', async () => {
  const world = await open()
  const ownKeys = createOwnKeys(us, world.clock)
  const notary = createNotary({ keyring: world.keyring, signer: us, clock: world.clock, ownKeys })
  const questions = (batch: number) =>
    Array.from({ length: 20 }, (_, at) => ({ server: `s${batch}-${at}.test`, keys: new Map() }))
  const all = Array.from({ length: 100 }, (_, batch) => notary.answer(questions(batch)))
  const answers = await world.time.await(Promise.all(all))
  assert.deepEqual(answers.flat(), [])
  // Ten at a time, and two hundred that wait, of the two thousand that were asked for.
  assert.ok(world.asked.length >= 200 && world.asked.length <= 230, `${world.asked.length}`)
})

test('our own answer is signed, and valid for 23 hours whenever it is asked for', async () => {
  const world = await open()
  const ownKeys = createOwnKeys(us, world.clock, [
    { keyId: 'ed25519:old', key: 'AAAA', expiredTs: 5 },
  ])
  for (let hour = 0; hour < 5; hour += 0.25) {
    const answer = ownKeys()
    assert.ok(Number(answer.valid_until_ts) - world.clock.now() >= 23 * 3_600_000)
    assert.deepEqual(answer.old_verify_keys, { 'ed25519:old': { expired_ts: 5, key: 'AAAA' } })
    // Some verify what they were sent, without the signatures, as it is.
    const { signatures: _, ...signed } = answer
    assert.equal(JSON.stringify(signed), canonicalJson(signed))
    await world.time.run(900_000)
  }
})
