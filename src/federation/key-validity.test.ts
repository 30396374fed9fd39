/**
 * Which keys prove what, and when: tables of keys by their state, the time, the room version, and who
 * brought them.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pduCheckerInPlace } from '#io/pdu-checker-in-place.ts'
import { encodeBase64 } from '#protocol/base64.ts'
import { buildPdu } from '#protocol/build-pdu.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import type { Json, JsonObject } from '#protocol/json.ts'
import { roomVersions } from '#protocol/room-version.ts'
import { signJson } from '#protocol/signatures.ts'
import { admitPdus } from '#rooms/admit-pdus.ts'
import type { Signer } from '#rooms/remote-servers.ts'
import {
  dayMs,
  first,
  openKeyring,
  published,
  second,
  signerOf,
  them,
  us,
} from '../../test/key-world.ts'
import { authenticateRequest } from './authenticate-request.ts'
import { authorizationOf } from './request-signing.ts'

type World = Awaited<ReturnType<typeof openKeyring>>

const start = 1_700_000_000_000

/** Whether an event that a server signed at some time passes the door. */
async function passes(world: World, versionId: string, signer: Signer, ts: number) {
  const version = roomVersions.get(versionId) ?? assert.fail()
  const built = buildPdu(
    version,
    {
      ...(version.eventId === 'in-event' ? { event_id: `$x:${signer.serverName}` } : {}),
      room_id: version.roomIdIsCreateEventId ? `!${'A'.repeat(43)}` : '!r:them.test',
      type: 'm.room.message',
      sender: `@a:${signer.serverName}`,
      content: {},
      depth: 5,
      origin_server_ts: ts,
      prev_events: [],
      auth_events: [],
    },
    signer,
  )
  assert.ok(built.ok)
  const { clock, keyring, time } = world
  const parts = { clock, keyring, pduChecker: pduCheckerInPlace(clock) }
  const from = { origin: them, route: 'backfill' } as const
  const [checked] = await time.await(admitPdus(parts, version, [built.pdu.bytes], from))
  return checked?.ok
}

/** Whether a request that is signed now is taken for one of its server's. */
async function isTaken(world: World, signer: Signer): Promise<boolean> {
  const { keyring, clock, time } = world
  const target = '/_matrix/federation/v1/version'
  const request = { method: 'GET', target, destination: us.serverName, content: undefined }
  const authorization = authorizationOf(signer, request)
  const needs = { serverName: us.serverName, keyring, clock }
  const taking = authenticateRequest(
    needs,
    { method: 'GET', target, headers: { authorization } },
    new Uint8Array(),
  )
  return await time.await(
    taking.then(
      () => true,
      () => false,
    ),
  )
}

/** The server has a key that is in use and one that expired two days ago; it is gone after `days`. */
async function world(days: number, { validMs = dayMs } = {}): Promise<World> {
  const opened = await openKeyring()
  const old = {
    [second.keyId]: { key: encodeBase64(second.publicKey), expired_ts: start - 2 * dayMs },
  }
  opened.answers.set(them, () => published([first], start + validMs, { old_verify_keys: old }))
  await opened.check([first.keyId, second.keyId])
  if (days > 0) {
    opened.answers.delete(them)
    await opened.time.run(days * dayMs)
  }
  return opened
}

const never = signerOf(them, 9)

// What is signed with a key of some state at some time after the start; how many days later it is
// checked; whether it passes in versions 1 to 4, and from 5 on.
const events: [what: string, Signer, atMs: number, days: number, v4: boolean, v5: boolean][] = [
  ['the key in use, now', first, 0, 0, true, true],
  ['the key in use, at its very end', first, dayMs, 0, true, true],
  ['the key in use, after its end', first, dayMs + 1, 0, true, false],
  ['the key in use, long ago', first, -900 * dayMs, 0, true, true],
  ['an expired key, before it expired', second, -3 * dayMs, 0, true, true],
  ['an expired key, when it expired', second, -2 * dayMs, 0, true, true],
  ['an expired key, after it expired', second, -2 * dayMs + 1, 0, true, false],
  ['a key of a server that has been gone for a year, in its time', first, 0, 365, true, true],
  ['such a key, after its end', first, 30 * dayMs, 365, true, false],
  ['an expired key of such a server, in its time', second, -3 * dayMs, 365, true, true],
  ['a key that nobody knows', never, 0, 0, false, false],
  ['a key that nobody knows, of a server that is gone', never, 0, 30, false, false],
]

for (const [what, signer, atMs, days, v4, v5] of events) {
  test(`an event signed with ${what}: versions to 4 ${v4}, from 5 on ${v5}`, async () => {
    const opened = await world(days)
    for (const [version, expected] of [
      ['1', v4],
      ['4', v4],
      ['5', v5],
      ['12', v5],
    ] as const) {
      assert.equal(await passes(opened, version, signer, start + atMs), expected, version)
    }
  })
}

test('a key that claims to be good until the year 9999 is good for seven days', async () => {
  const opened = await world(0, { validMs: 253_402_300_799_000 - start })
  assert.equal(await passes(opened, '12', first, start + 7 * dayMs), true)
  assert.equal(await passes(opened, '12', first, start + 7 * dayMs + 1), false)
  assert.equal(await passes(opened, '4', first, start + 7 * dayMs + 1), true)
})

// A request is signed now, whatever the key was good for.
const requests: [what: string, Signer, days: number, expected: boolean][] = [
  ['the key in use', first, 0, true],
  ['the key in use, while the server cannot be asked', first, 0.9, true],
  ['the key in use, after its end, while the server cannot be asked', first, 1.1, false],
  ['an expired key', second, 0, false],
  ['a key that nobody knows', never, 0, false],
]

for (const [what, signer, days, expected] of requests) {
  test(`a request signed with ${what} is ${expected ? 'taken' : 'refused'}`, async () => {
    assert.equal(await isTaken(await world(days), signer), expected)
  })
}

test('what we signed with a key of ours that we changed is known to be ours, until its end', async () => {
  const before = signerOf(us.serverName, 7, 'ed25519:before')
  const expiredTs = start - dayMs
  const key = encodeBase64(before.publicKey)
  const opened = await openKeyring({ oldKeys: [{ keyId: before.keyId, key, expiredTs }] })
  assert.equal(await passes(opened, '12', before, expiredTs), true)
  assert.equal(await passes(opened, '12', before, expiredTs + 1), false)
  assert.equal(await passes(opened, '12', us, start), true)
  assert.equal(opened.asked.length, 0)
})

test('a stolen key proves nothing: neither events, nor requests, nor the next key', async () => {
  const stolen = [encodeBase64(first.publicKey)]
  const opened = await openKeyring({ stolen })
  opened.answers.set(them, () => published([first], start + dayMs))
  assert.equal(await passes(opened, '12', first, start), false)
  assert.equal(await isTaken(opened, first), false)
  // The thief says that another key is the server's, too.
  opened.answers.set(them, () => {
    const keys = [first, second].map((one) => [one.keyId, { key: encodeBase64(one.publicKey) }])
    return signJson(
      { server_name: them, valid_until_ts: start + dayMs, verify_keys: Object.fromEntries(keys) },
      first,
    )
  })
  await opened.time.run(600_000)
  assert.equal(await passes(opened, '12', second, start), false)
  // The server has another key, and proves it by that.
  opened.answers.set(them, () => published([second], opened.clock.now() + dayMs))
  await opened.time.run(600_000)
  assert.equal(await passes(opened, '12', second, start), true)
  assert.equal(await isTaken(opened, second), true)
})

test('a key that is told to be stolen when it was known already is believed no more', async () => {
  const before = await world(0)
  assert.equal(await passes(before, '12', first, start), true)
  const stolen = [encodeBase64(first.publicKey)]
  const restarted = await openKeyring({ image: before.image, stolen })
  assert.equal(await passes(restarted, '12', first, start), false)
  assert.equal(await passes(restarted, '12', second, start - 3 * dayMs), true)
})

const notaries = ['n1.test', 'n2.test', 'n3.test'] as ServerName[]

/** A world in which `them` is gone and each notary gives what `answers` says, in its order. */
async function withNotaries(
  answers: readonly ((until: number) => JsonObject | undefined)[],
  quorum: number,
) {
  const opened = await openKeyring({ notaries, quorum })
  for (const [index, name] of notaries.entries()) {
    const signer = signerOf(name, 20 + index)
    opened.answers.set(name, (target): JsonObject => {
      if (target === '/_matrix/key/v2/server') {
        return published([signer], opened.clock.now() + dayMs, { server_name: name })
      }
      const answer = answers[index]?.(opened.clock.now() + dayMs)
      return { server_keys: answer === undefined ? [] : [signJson(answer, signer)] }
    })
  }
  return opened
}

const truth = (until: number) => published([first], until)
const nothing = () => undefined
/** Whoever is asked about a server that is gone can make up a key for it. */
const made = signerOf(them, 30, first.keyId)
const lie = (until: number) => published([made], until)

const quorums: [what: string, ((until: number) => JsonObject | undefined)[], number, boolean][] = [
  ['one of one', [truth, nothing, nothing], 1, true],
  ['one, where two are wanted', [truth, nothing, nothing], 2, false],
  ['two of three', [truth, nothing, truth], 2, true],
  ['one who lies before two who do not', [lie, truth, truth], 2, true],
  ['one who lies between them', [truth, lie, truth], 2, true],
  ['two who do not agree', [truth, lie, nothing], 2, false],
  ['three of three', [truth, truth, truth], 3, true],
  ['two of three, where all are wanted', [truth, truth, nothing], 3, false],
]

for (const [what, answers, quorum, expected] of quorums) {
  test(`notaries, ${what}: the key is ${expected ? '' : 'not '}believed`, async () => {
    const opened = await withNotaries(answers, quorum)
    assert.equal(await passes(opened, '12', first, start), expected)
    assert.equal(await passes(opened, '12', made, start), false)
  })
}

test('the server itself is asked first, and what it says needs no quorum', async () => {
  const opened = await withNotaries([lie, lie, lie], 2)
  opened.answers.set(them, () => truth(opened.clock.now() + dayMs))
  assert.equal(await passes(opened, '12', first, start), true)
  assert.ok(!opened.asked.some((line) => line.includes('/query')))
})

const poisons: [what: string, (until: number) => Record<string, Json> | JsonObject][] = [
  ['another server name', (until) => published([first], until, { server_name: 'else.test' })],
  ['no signature of the server', (until) => ({ ...published([first], until), signatures: {} })],
  [
    'another end than was signed',
    (until) => ({ ...published([first], until), valid_until_ts: 9e14 }),
  ],
  ['no keys', (until) => published([first], until, { verify_keys: {} })],
  ['an end that is no number', () => published([first], 0, { valid_until_ts: 'never' })],
]

for (const [what, answer] of poisons) {
  test(`what a notary gives with ${what} is not believed`, async () => {
    const opened = await withNotaries([(until) => answer(until) as JsonObject], 1)
    assert.equal(await passes(opened, '12', first, start), false)
  })
}

test('a notary takes back nothing that is known: neither a key nor how long it is good', async () => {
  const opened = await withNotaries([lie, nothing, nothing], 1)
  opened.answers.set(them, () => truth(start + 5 * dayMs))
  assert.equal(await passes(opened, '12', first, start + 5 * dayMs), true)
  opened.answers.delete(them)
  await opened.time.run(6 * dayMs)
  // It is asked for a longer validity, and gives another key under the same ID.
  assert.equal(await passes(opened, '12', made, start + 6 * dayMs), false)
  assert.equal(await passes(opened, '12', first, start + 5 * dayMs), true)
  assert.equal(opened.alarms.length, 1)
  const shorter = await withNotaries([() => truth(start + 1), nothing, nothing], 1)
  shorter.answers.set(them, () => truth(start + 5 * dayMs))
  await shorter.check([first.keyId])
  shorter.answers.delete(them)
  await shorter.time.run(6 * dayMs)
  await shorter.check([first.keyId])
  assert.equal(await passes(shorter, '12', first, start + 5 * dayMs), true)
})
