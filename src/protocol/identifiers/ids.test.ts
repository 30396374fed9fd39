import assert from 'node:assert/strict'
import { test } from 'node:test'
import { roomVersions } from '../room-version.ts'
import { parseEventId, parseEventIdIn, serverNameOfEventId } from './event-id.ts'
import { algorithmOf, isKeyVersion, parseKeyId } from './key-id.ts'
import { parseMxcUri } from './mxc-uri.ts'
import { parseRoomAlias } from './room-alias.ts'
import {
  createEventIdOfRoom,
  parseRoomId,
  parseRoomIdIn,
  roomIdOfCreateEvent,
  serverNameOfRoomId,
} from './room-id.ts'

const hash = 'Nhcu5BS-UMnFX7hBVfVSoXiD7OgH6iRT-xyIuqDnpYQ'
const standardHash = 'CD66HAED5npg6074c6pDtLKalHjVfYb2q4Q3LZgrW6o'

/** The room versions in which `text` is what `parse` reads, as a list. */
function versionsOf(parse: typeof parseRoomIdIn | typeof parseEventIdIn, text: string): string {
  const ids = [...roomVersions.values()].filter((version) => parse(version, text) === text)
  return ids.map(({ id }) => id).join(' ')
}

const untilV11 = '1 2 3 4 5 6 7 8 9 10 11'

const roomIds = [
  ['!abc:example.org', untilV11],
  ['!é\u0001:example.org:8448', untilV11],
  ['!:h', untilV11],
  [`!${hash}`, '12'],
  [`!${hash}:h`, untilV11],
  [`!${hash}A`, ''],
  [`!${hash.slice(1)}`, ''],
  [`!${hash}=`, ''],
  [`!${hash.replaceAll('-', '+')}`, ''],
  [`!${hash.replaceAll('-', 'é')}`, ''],
  [`$${hash}`, ''],
  ['!abc', ''],
  ['!a\0:h', ''],
  ['!a:', ''],
  [`!${'a'.repeat(252)}:h`, untilV11],
  [`!${'a'.repeat(253)}:h`, ''],
] as const

for (const [text, versions] of roomIds) {
  test(`${JSON.stringify(text).slice(0, 60)} is a room ID in: ${versions}`, () => {
    assert.equal(versionsOf(parseRoomIdIn, text), versions)
    assert.equal(parseRoomId(text), versions === '' ? undefined : text)
  })
}

const fromV4 = '4 5 6 7 8 9 10 11 12'

const eventIds = [
  ['$abc:example.org', '1 2'],
  ['$:h', '1 2'],
  [`$${standardHash}`, `3 ${fromV4}`],
  [`$${standardHash.replace('C', '/')}`, '3'],
  [`$${hash}`, fromV4],
  [`$${hash}=`, ''],
  [`!${hash}`, ''],
  ['$abc', ''],
  ['$', ''],
] as const

for (const [text, versions] of eventIds) {
  test(`${text} is an event ID in: ${versions}`, () => {
    assert.equal(versionsOf(parseEventIdIn, text), versions)
  })
}

test('an ID that an event refers to may be anything of 255 bytes with the sigil', () => {
  for (const text of ['$abc', '$a:b', `$${hash}`, `$${'a'.repeat(254)}`]) {
    assert.equal(parseEventId(text), text)
  }
  for (const text of ['', '$', 'abc', '!a:b', '$a\0', '$\ud800', `$${'a'.repeat(255)}`]) {
    assert.equal(parseEventId(text), undefined, text)
  }
})

test('the server of an ID is all after the first colon', () => {
  assert.equal(serverNameOfEventId('$a:h:8448'), 'h:8448')
  assert.equal(serverNameOfRoomId('!a:[::1]:8448'), '[::1]:8448')
  assert.equal(serverNameOfRoomId(`!${hash}`), undefined)
})

test('a room ID and the ID of its create event differ by the sigil', () => {
  assert.equal(roomIdOfCreateEvent(`$${hash}`), `!${hash}`)
  assert.equal(createEventIdOfRoom(`!${hash}`), `$${hash}`)
})

test('room aliases', () => {
  for (const text of ['#a:h', '#é b:h:1', '#:h']) assert.equal(parseRoomAlias(text), text)
  for (const text of ['#a', 'a:h', '#a\0:h', '#a:', `#${'a'.repeat(253)}:h`]) {
    assert.equal(parseRoomAlias(text), undefined, text)
  }
})

test('key IDs', () => {
  assert.equal(parseKeyId('ed25519:auto'), 'ed25519:auto')
  assert.equal(parseKeyId('ed25519:a-b'), 'ed25519:a-b')
  assert.equal(algorithmOf('ed25519:a:b'), 'ed25519')
  for (const text of ['ed25519', 'ed25519:', ':a', '', 'ed25519:\0', `a:${'b'.repeat(254)}`]) {
    assert.equal(parseKeyId(text), undefined, text)
  }
  assert.ok(isKeyVersion('a_1'))
  for (const text of ['', 'a-b', 'a:b', 'é', 'a'.repeat(65)]) assert.ok(!isKeyVersion(text), text)
})

test('mxc URIs', () => {
  assert.deepEqual(parseMxcUri('mxc://h:8448/a-Z_9'), { serverName: 'h:8448', mediaId: 'a-Z_9' })
  const bad = [
    'mxc://h/',
    'mxc:///a',
    'mxc://h',
    'mxc://h/a/b',
    'mxc://h/..',
    'mxc://../a',
    'mxc://h/../../x',
    'mxc://h/%2e%2e',
    'mxc://h/a?b',
    'mxc://h/a\0',
    'http://h/a',
    'mxc:/h/a',
    `mxc://h/${'a'.repeat(256)}`,
  ]
  for (const text of bad) assert.equal(parseMxcUri(text), undefined, text)
})
