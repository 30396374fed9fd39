/**
 * Events from others, in every room version: parser, format, hashes, redaction, auth rules, resolution.
 * The first line of an input is the room version.
 *
 * @module
 */

import assert from 'node:assert/strict'
import {
  authStateKeys,
  checkAuthEvents,
  selectAuthEvents,
} from '#protocol/auth-rules/auth-events.ts'
import { type AuthState, authStateOf } from '#protocol/auth-rules/auth-state.ts'
import { checkAuthRules } from '#protocol/auth-rules/check.ts'
import { canonicalMembers, joinMembers } from '#protocol/canonical-json.ts'
import { checkPdu } from '#protocol/check-pdu.ts'
import { eventIdOf } from '#protocol/event-id.ts'
import { referenceHash } from '#protocol/hashes.ts'
import { isJsonObject, type Json, type JsonObject } from '#protocol/json.ts'
import { readJson } from '#protocol/json-reader.ts'
import {
  authEventsMax,
  eventBytesMax,
  idBytesMax,
  prevEventsMax,
  stateKeyBytesMax,
  typeBytesMax,
} from '#protocol/limits.ts'
import { parsePdu, pduOfCheckedBytes } from '#protocol/parse-pdu.ts'
import type { Pdu } from '#protocol/pdu.ts'
import { redact, redactMembers } from '#protocol/redaction.ts'
import { type RoomVersion, roomVersions } from '#protocol/room-version.ts'
import { sampleEvent, sampleKeys } from '../../signed-events.ts'
import { firstLine, type Target } from '../target.ts'

const versions = [...roomVersions.values()]

const words = [
  'm.room.create',
  'm.room.member',
  'm.room.power_levels',
  'm.room.join_rules',
  'm.room.third_party_invite',
  'm.room.redaction',
  'm.room.aliases',
  'm.room.history_visibility',
  'state_key',
  'membership',
  'join',
  'invite',
  'knock',
  'leave',
  'ban',
  'restricted',
  'knock_restricted',
  'public',
  'join_authorised_via_users_server',
  'third_party_invite',
  'signed',
  'additional_creators',
  'room_version',
  'creator',
  'm.federate',
  'users',
  'users_default',
  'events',
  'events_default',
  'state_default',
  'notifications',
  'redacts',
  'allow',
  'unsigned',
  'prev_state',
  'origin',
  '@v:b.example',
  '$p:a.example',
  `!${'r'.repeat(43)}`,
  `$${'e'.repeat(43)}`,
]

/** The version that the first line names, and what follows it. */
function versionAndRest(input: Uint8Array): { version: RoomVersion; rest: Uint8Array } | undefined {
  const { line, rest } = firstLine(input)
  const version = roomVersions.get(line)
  return version && { version, rest }
}

function sampleText(version: RoomVersion, fields: Parameters<typeof sampleEvent>[1] = {}): string {
  return `${version.id}\n${Buffer.from(sampleEvent(version, fields).bytes)}`
}

const contents: Readonly<Record<string, JsonObject>> = {
  'm.room.member': {
    membership: 'invite',
    join_authorised_via_users_server: '@v:b.example',
    third_party_invite: {
      display_name: 'x',
      signed: { mxid: '@v:b.example', token: 't', signatures: {} },
    },
  },
  'm.room.power_levels': {
    users: { '@u:a.example': 100 },
    ban: 50,
    invite: 0,
    events: { 'm.x': 5 },
  },
  'm.room.join_rules': {
    join_rule: 'restricted',
    allow: [{ type: 'm.room_membership', room_id: '!x:y' }],
  },
}

const eventSeeds = versions.flatMap((version) => [
  sampleText(version),
  ...Object.entries(contents).map(([type, content]) =>
    sampleText(version, { type, state_key: '@v:b.example', content }),
  ),
])

export const pdu: Target = {
  name: 'pdu',
  seeds: eventSeeds,
  words,
  run(input) {
    const given = versionAndRest(input)
    if (given === undefined) return
    const { version, rest } = given
    const limited = checkPdu(version, rest, sampleKeys)
    const read = parsePdu(version, rest)
    if (limited.ok && !limited.redacted) assert.ok(read.ok)
    if (limited.ok) checkLimits(limited.pdu)
    if (!read.ok) return
    assert.equal(eventIdOf(version, read.pdu.json), read.pdu.event_id)
    const again = parsePdu(version, read.pdu.bytes)
    assert.ok(again.ok, 'the bytes of an event are an event')
    assertSame(again.pdu, read.pdu)
    assertSame(pduOfCheckedBytes(version, read.pdu.event_id, read.pdu.bytes), read.pdu)
    assert.ok(!Object.hasOwn(read.pdu.json, 'unsigned'))
  },
}

function assertSame(a: Pdu, b: Pdu): void {
  const { json: jsonA, bytes: bytesA, ...fieldsA } = a
  const { json: jsonB, bytes: bytesB, ...fieldsB } = b
  assert.ok(Buffer.from(bytesA).equals(bytesB), 'the bytes are others')
  assert.deepEqual(fieldsA, fieldsB)
  assert.deepEqual(jsonA, jsonB)
}

function checkLimits(event: Pdu): void {
  const { event_id, room_id, sender, type, state_key = '', bytes } = event
  for (const id of [event_id, room_id, sender, ...event.prev_events, ...event.auth_events]) {
    assert.ok(Buffer.byteLength(id) <= idBytesMax)
  }
  assert.ok(Buffer.byteLength(type) <= typeBytesMax)
  assert.ok(Buffer.byteLength(state_key) <= stateKeyBytesMax)
  assert.ok(bytes.length <= eventBytesMax)
  assert.ok(event.prev_events.length <= prevEventsMax)
  assert.ok(event.auth_events.length <= authEventsMax)
  assert.ok(Number.isSafeInteger(event.depth) && event.depth >= 0)
  assert.ok(Number.isSafeInteger(event.origin_server_ts))
}

export const redaction: Target = {
  name: 'redaction',
  seeds: eventSeeds,
  words,
  run(input) {
    const given = versionAndRest(input)
    const read =
      given && readJson(given.rest, given.version.strictCanonicalJson ? 'canonical' : 'raw')
    if (!read?.ok || !isJsonObject(read.value)) return
    const { version } = given as { version: RoomVersion }
    const event = read.value
    const members = canonicalMembers(event)
    // The reader takes no more levels than the encoder.
    assert.ok(members)
    const redacted = redact(version, frozen(event))
    assert.deepEqual(redact(version, redacted), redacted, 'redacted once is redacted')
    assertWithin(redacted, event)
    const text = joinMembers(canonicalMembers(redacted) ?? [])
    assert.equal(joinMembers(redactMembers(version, event, members)), text)
    const hash = referenceHash(version, event, 'base64url')
    assert.equal(referenceHash(version, redacted, 'base64url'), hash)
    const { signatures: _signatures, unsigned: _unsigned, ...plain } = event
    assert.equal(referenceHash(version, plain, 'base64url'), hash)
    assert.match(hash, /^[A-Za-z0-9_-]{43}$/)
  },
}

/** That redaction adds nothing but an empty content. */
function assertWithin(part: JsonObject, whole: JsonObject): void {
  for (const [key, value] of Object.entries(part)) {
    assert.ok(Object.hasOwn(whole, key), `${key} was added`)
    if (isJsonObject(value) && isJsonObject(whole[key])) assertWithin(value, whole[key])
    else if (isJsonObject(value)) assert.deepEqual(value, {})
    else assert.deepEqual(value, whole[key])
  }
}

const roomOfHash = `!${'r'.repeat(43)}`

/** What an event has that an input leaves out. */
function completed(version: RoomVersion, event: JsonObject, index: number): JsonObject {
  const isCreate = event.type === 'm.room.create' && event.state_key === ''
  const inEvent = version.eventId === 'in-event'
  const room = version.roomIdIsCreateEventId ? roomOfHash : '!r:a.example'
  return {
    ...(inEvent && { event_id: `$e${index}:a.example` }),
    ...(!(isCreate && version.roomIdIsCreateEventId) && { room_id: room }),
    type: 'm.room.message',
    sender: '@u:a.example',
    depth: 5,
    origin_server_ts: index,
    prev_events: isCreate
      ? []
      : [inEvent ? ['$p:a.example', { sha256: 'p' }] : `$${'p'.repeat(43)}`],
    auth_events: [],
    content: {},
    hashes: { sha256: 'A'.repeat(43) },
    signatures: {},
    ...event,
  }
}

const state: readonly JsonObject[] = [
  { type: 'm.room.create', state_key: '', content: { creator: '@u:a.example' } },
  { type: 'm.room.member', state_key: '@u:a.example', content: { membership: 'join' } },
  { type: 'm.room.member', state_key: '@v:b.example', content: { membership: 'join' } },
  {
    type: 'm.room.power_levels',
    state_key: '',
    content: {
      users: { '@v:b.example': 50 },
      events: { 'm.x': 100 },
      invite: 50,
      notifications: { room: 50 },
    },
  },
  { type: 'm.room.join_rules', state_key: '', content: { join_rule: 'restricted' } },
  {
    type: 'm.room.third_party_invite',
    state_key: 't',
    content: { public_key: 'XGX0JRS2Af3be3knz2fBiRbApjm2Dh61gXDJA8kcJNI', public_keys: [] },
  },
]

const subjects: readonly JsonObject[] = [
  { content: { body: 'x' } },
  { type: 'm.room.member', state_key: '@u:a.example', content: { membership: 'leave' } },
  { type: 'm.room.member', state_key: '@v:b.example', content: { membership: 'ban' } },
  { type: 'm.room.member', state_key: '@w:c.example', content: { membership: 'invite' } },
  {
    type: 'm.room.member',
    state_key: '@w:c.example',
    sender: '@w:c.example',
    content: { membership: 'knock' },
  },
  {
    type: 'm.room.member',
    state_key: '@w:c.example',
    sender: '@w:c.example',
    content: { membership: 'join', join_authorised_via_users_server: '@u:a.example' },
  },
  {
    type: 'm.room.member',
    state_key: '@w:c.example',
    content: {
      membership: 'invite',
      third_party_invite: {
        signed: { mxid: '@w:c.example', token: 't', signatures: { id: { 'ed25519:0': 'AAAA' } } },
      },
    },
  },
  state[3] as JsonObject,
  state[0] as JsonObject,
  { type: 'm.room.redaction', redacts: '$x:a.example', content: { redacts: '$x:a.example' } },
  { type: 'm.room.aliases', state_key: 'a.example', content: { aliases: [] } },
]

export const authRules: Target = {
  name: 'auth-rules',
  seeds: versions.flatMap(({ id }) =>
    subjects.map((subject) => `${id}\n${JSON.stringify([subject, ...state])}`),
  ),
  words,
  run(input) {
    const given = versionAndRest(input)
    const read = given && readJson(given.rest, 'any')
    if (!read?.ok || !Array.isArray(read.value)) return
    const { version } = given as { version: RoomVersion }
    const events = read.value
      .filter(isJsonObject)
      .slice(0, 40)
      .map((event, index) => {
        const bytes = Buffer.from(JSON.stringify(completed(version, event, index)))
        const parsed = parsePdu(version, bytes)
        return parsed.ok ? frozen(parsed.pdu) : undefined
      })
    const [subject, ...rest] = events
    if (subject === undefined) return
    const before = rest.filter((event) => event !== undefined)
    const stateBefore = authStateOf(before)
    const asked = new Set<string>()
    const verdict = checkAuthRules(subject, watched(stateBefore, asked))
    assert.deepEqual(checkAuthRules(subject, stateBefore), verdict, 'the same rules say the same')
    const named = authStateKeys(subject).map(String)
    for (const key of asked) {
      assert.ok(key === 'm.room.create,' || named.includes(key), `${key} is read and not named`)
    }
    const chosen = selectAuthEvents(subject, stateBefore)
    const create = stateBefore.get('m.room.create', '')
    const implied = version.roomIdIsCreateEventId && create ? [create] : []
    const byChosen = checkAuthRules(subject, authStateOf([...implied, ...chosen]))
    assert.deepEqual(byChosen, verdict, 'the chosen auth events say the same as the state')
    checkAuthEvents(subject, before, () => false)
  },
}

function watched(state: AuthState, asked: Set<string>): AuthState {
  return {
    get(type, stateKey) {
      asked.add(`${type},${stateKey}`)
      return state.get(type, stateKey)
    },
  }
}

/** The value, in which nothing can be changed any more. */
function frozen<T extends Json | Pdu | RoomVersion>(value: T): T {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value
  for (const part of Object.values(value)) frozen(part as Json)
  return Object.freeze(value)
}
