import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hostB, sampleEvent, sampleTs, versionOf } from '../../test/signed-events.ts'
import { addSignature, type EventDraft } from './build-pdu.ts'
import type { Json, JsonObject } from './json.ts'
import { requiredSignatures } from './required-signatures.ts'
import { roomVersions } from './room-version.ts'
import { signatureNeeds } from './signature-needs.ts'

const v11 = versionOf('11')
const authorised: Partial<EventDraft> = {
  type: 'm.room.member',
  state_key: '@v:a.example',
  content: { membership: 'join', join_authorised_via_users_server: '@w:b.example' },
}

test('the keys of all who must have signed are needed, and of nobody else', () => {
  for (const version of roomVersions.values()) {
    const byB = version.eventId === 'in-event' ? { event_id: '$e:b.example' as const } : {}
    for (const fields of [{}, byB, authorised, { ...authorised, type: 'm.other' }]) {
      const pdu = addSignature(sampleEvent(version, fields), hostB)
      const needed = signatureNeeds(version, pdu.bytes)
      const required = requiredSignatures(pdu)
      assert.ok(typeof required !== 'string')
      assert.deepEqual(
        needed,
        [...required].map((server) => ({ server, keyId: 'ed25519:a', at: sampleTs })),
      )
    }
  }
})

test('a third-party invite with a wrong content hash may need its sender', () => {
  const content = { membership: 'invite', third_party_invite: {} }
  const { bytes } = sampleEvent(v11, { type: 'm.room.member', state_key: '@v:h', content })
  assert.deepEqual(
    signatureNeeds(v11, bytes).map(({ server }) => server),
    ['a.example'],
  )
})

test('a server that did not sign needs no key, and one that signed often only some', () => {
  const { json } = sampleEvent(v11)
  const needs = (signatures: JsonObject) =>
    signatureNeeds(v11, Buffer.from(JSON.stringify({ ...json, signatures }))).length
  assert.equal(needs({}), 0)
  assert.equal(needs({ 'b.example': { 'ed25519:a': '' } }), 0)
  assert.equal(needs({ 'a.example': { 'rsa:a': '', 'ed25519:a': '' } }), 1)
  const many = Array.from({ length: 50 }, (_, index) => [`ed25519:${index}`, ''])
  assert.equal(needs({ 'a.example': Object.fromEntries(many) }), 5)
})

test('a time that JavaScript cannot keep is the latest', () => {
  const v5 = versionOf('5')
  const text = Buffer.from(sampleEvent(v5).bytes).toString()
  const bytes = Buffer.from(
    text.replace(`"origin_server_ts":${sampleTs}`, '"origin_server_ts":"x"'),
  )
  assert.deepEqual(
    signatureNeeds(v5, bytes).map(({ at }) => at),
    [Number.MAX_SAFE_INTEGER],
  )
})

test('the ID of an event names a signer in versions 1 and 2, and only if it is one', () => {
  for (const version of roomVersions.values()) {
    const { json } = addSignature(sampleEvent(version), hostB)
    const signers = (event_id: Json) =>
      signatureNeeds(version, Buffer.from(JSON.stringify({ ...json, event_id }))).map(
        ({ server }) => server,
      )
    const both = version.eventId === 'in-event' ? ['a.example', 'b.example'] : ['a.example']
    assert.deepEqual(signers('$e:b.example'), both)
    for (const none of ['x', '$e', 5, null, {}, `$${'e'.repeat(43)}`]) {
      assert.deepEqual(signers(none), ['a.example'], `version ${version.id}: ${none}`)
    }
  }
})

test('a PDU as large as it may come needs its keys', () => {
  const { json } = sampleEvent(v11)
  const empty = JSON.stringify({ ...json, unsigned: '' })
  const needs = (bytes: number) => {
    const unsigned = 'a'.repeat(bytes - Buffer.byteLength(empty))
    return signatureNeeds(v11, Buffer.from(JSON.stringify({ ...json, unsigned }))).length
  }
  // Twelve times what an event may have: each byte written as six, and as much again beside it.
  assert.deepEqual([needs(12 * 65_536), needs(12 * 65_536 + 1)], [1, 0])
})

test('what is no event needs nothing', () => {
  for (const text of [
    '',
    '{',
    '[]',
    'null',
    '5',
    '{}',
    '{"sender":5}',
    '{"sender":"x"}',
    '\ufeff{}',
  ]) {
    assert.deepEqual(signatureNeeds(v11, Buffer.from(text)), [], text)
  }
  assert.deepEqual(signatureNeeds(v11, Buffer.from([0x22, 0xff, 0x22])), [])
  const { json } = sampleEvent(v11)
  const large = JSON.stringify({ ...json, unsigned: 'a'.repeat(800_000) })
  assert.deepEqual(signatureNeeds(v11, Buffer.from(large)), [])
})
