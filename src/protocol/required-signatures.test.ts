/**
 * Whose signatures an event needs, and which keys count.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  hostA,
  hostB,
  sampleEvent,
  sampleKeys,
  sampleSigner,
  sampleTs,
  versionOf,
  wrongBy,
} from '../../test/signed-events.ts'
import { addSignature, type EventDraft } from './build-pdu.ts'
import { checkPdu, keysByServer } from './check-pdu.ts'
import type { JsonObject } from './json.ts'
import type { Pdu } from './pdu.ts'
import { type RoomVersion, roomVersions } from './room-version.ts'
import type { JsonSigner } from './signatures.ts'

const versions = [...roomVersions.values()]
const v11 = versionOf('11')

test('since version 5 a key counts only until the time it is valid', () => {
  for (const version of versions) {
    for (const [ts, isIn] of [
      [sampleTs, true],
      [sampleTs + 1, false],
    ] as const) {
      const { bytes } = sampleEvent(version, { origin_server_ts: ts })
      const isAccepted = checkPdu(version, bytes, sampleKeys).ok
      assert.equal(isAccepted, isIn || Number(version.id) < 5, `version ${version.id}`)
    }
  }
})

test('a key is one of its server, its ID and its bytes', () => {
  const { bytes } = sampleEvent(v11)
  const reason = (key: Partial<typeof hostA.verifyKey>) => {
    const checked = checkPdu(v11, bytes, keysByServer([{ ...hostA.verifyKey, ...key }]))
    return checked.ok ? undefined : checked.reason
  }
  assert.equal(reason({}), undefined)
  assert.equal(reason({ server: hostB.serverName }), unknownOf('a.example'))
  assert.equal(reason({ keyId: 'ed25519:b' }), unknownOf('a.example'))
  assert.equal(reason({ key: hostB.verifyKey.key }), wrongBy('a.example'))
  assert.equal(reason({ key: new Uint8Array(5) }), wrongBy('a.example'))
})

test('of several keys of a server each counts', () => {
  const { bytes } = sampleEvent(v11)
  const another = { ...hostA.verifyKey, keyId: 'ed25519:b', key: hostB.verifyKey.key }
  for (const keys of [
    [hostA.verifyKey, another],
    [another, hostA.verifyKey],
  ]) {
    assert.ok(checkPdu(v11, bytes, keysByServer([...keys, hostB.verifyKey])).ok)
  }
})

const member = (membership: string, more: JsonObject = {}): Partial<EventDraft> => ({
  type: 'm.room.member',
  state_key: '@v:b.example',
  content: { membership, ...more },
})
const authorised = { join_authorised_via_users_server: '@w:b.example' }
const invited = { third_party_invite: { signed: { token: 't' } } }
const byB: Partial<EventDraft> = { event_id: '$e:b.example' }
const all = '1 2 3 4 5 6 7 8 9 10 11 12'
const until7 = '1 2 3 4 5 6 7'
const since3 = '3 4 5 6 7 8 9 10 11 12'

/** An event, who signed it (the sender is of A), and the versions in which that is enough. */
const signatureCases: readonly [string, Partial<EventDraft>, readonly JsonSigner[], string][] = [
  ['a message', {}, [hostA], all],
  ['a message by somebody else', {}, [hostB], ''],
  ['a message by both', {}, [hostA, hostB], all],
  ['an ID of another server', byB, [hostA], since3],
  ['an ID of another server, by both', byB, [hostA, hostB], all],
  ['an ID of another server, by that one', byB, [hostB], ''],
  ['a join', member('join'), [hostA], all],
  ['a restricted join', member('join', authorised), [hostA], until7],
  ['a restricted join by both', member('join', authorised), [hostA, hostB], all],
  ['a restricted join by the authoriser', member('join', authorised), [hostB], ''],
  ['a leave with an authoriser', member('leave', authorised), [hostA], until7],
  [
    'a restricted join by nobody',
    member('join', { join_authorised_via_users_server: 'x' }),
    [hostA, hostB],
    until7,
  ],
  ['another type with an authoriser', { content: authorised }, [hostA], all],
  ['an invite', member('invite'), [hostB], ''],
  // In versions 1 and 2 the server of the ID must still sign.
  ['a third-party invite by somebody else', member('invite', invited), [hostB], since3],
  ['a third-party invite by the sender', member('invite', invited), [hostA], all],
  ['a third-party invite with another ID', { ...member('invite', invited), ...byB }, [hostB], all],
  ['a third-party join', member('join', invited), [hostB], ''],
  [
    'a message with a third-party invite',
    { content: { membership: 'invite', ...invited } },
    [hostB],
    '',
  ],
]

for (const [name, fields, signers, expected] of signatureCases) {
  test(`signed enough: ${name} in versions ${expected}`, () => {
    const enough = versions.filter((version) => {
      const { event_id, ...rest } = fields
      const draft = version.eventId === 'in-event' ? fields : rest
      const pdu = signedBy(version, draft, signers)
      return checkPdu(version, pdu.bytes, sampleKeys).ok
    })
    assert.equal(enough.map(({ id }) => id).join(' '), expected)
  })
}

test('a third-party invite with a wrong content hash does not pass as a plain invite', () => {
  for (const version of versions) {
    const pdu = signedBy(version, member('invite', invited), [hostB])
    const { hashes: _hashes, ...rest } = pdu.json
    const forged = addSignature(
      { ...pdu, json: { ...rest, hashes: { sha256: 'wrong' }, signatures: {} } },
      hostB,
    )
    const checked = checkPdu(version, forged.bytes, sampleKeys)
    // Since version 11 redaction leaves what the auth rules then check.
    if (Number(version.id) >= 11) assert.ok(checked.ok && checked.redacted)
    else assert.deepEqual(checked.ok ? '' : checked.reason, 'a.example did not sign the event')
  }
})

test('a join authorised by nobody is dropped, whatever its content hash', () => {
  // Version 8 leaves the authoriser out when it redacts, and later ones do not.
  for (const version of versions.filter(({ restrictedJoins }) => restrictedJoins)) {
    const content = { join_authorised_via_users_server: 'x' }
    const pdu = signedBy(version, member('join', content), [hostA])
    const forged = { ...pdu, json: { ...pdu.json, hashes: { sha256: 'wrong' }, signatures: {} } }
    const checked = checkPdu(version, addSignature(forged, hostA).bytes, sampleKeys)
    const reason = 'join_authorised_via_users_server is no user ID'
    assert.deepEqual(checked.ok ? '' : checked.reason, reason, version.id)
  }
})

test('the server of a sender is what follows the first colon', () => {
  const host = sampleSigner('a.example:8448')
  const keys = keysByServer([host.verifyKey])
  const { bytes } = sampleEvent(v11, { sender: '@u:a.example:8448' }, host)
  assert.ok(checkPdu(v11, bytes, keys).ok)
})

/** The event signed by these and nobody else. */
function signedBy(
  version: RoomVersion,
  fields: Partial<EventDraft>,
  signers: readonly JsonSigner[],
): Pdu {
  const built = sampleEvent(version, fields)
  const unsigned: Pdu = { ...built, json: { ...built.json, signatures: {} } }
  return signers.reduce(addSignature, unsigned)
}

function unknownOf(server: string): string {
  return `no signature of ${server} is by a key that we know`
}
