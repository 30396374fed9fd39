import assert from 'node:assert/strict'
import { test } from 'node:test'
import { localpartOf, serverNameOf } from './common-format.ts'
import { parseServerName } from './server-name.ts'
import { isCompliantUserId, parseUserId, userIdFor } from './user-id.ts'

/** User ID, localpart, server, whether it may be shown outside the context of an event. */
const userIds = [
  ['@alice:example.org', 'alice', 'example.org', true],
  ['@a:h:8448', 'a', 'h:8448', true],
  ['@a:[::1]:8448', 'a', '[::1]:8448', true],
  ['@a=/+-._0:h', 'a=/+-._0', 'h', true],
  // Historical ones.
  ['@:h', '', 'h', false],
  ['@Alice!~:h', 'Alice!~', 'h', true],
  ['@é:h', 'é', 'h', false],
  ['@😀:h', '😀', 'h', false],
  ['@a b:h', 'a b', 'h', false],
  ['@\u0001:h', '\u0001', 'h', false],
  ['@\u007f:h', '\u007f', 'h', false],
  ['@@a:h', '@a', 'h', true],
] as const

for (const [text, localpart, server, isCompliant] of userIds) {
  test(`${JSON.stringify(text)} is a user ID`, () => {
    const userId = parseUserId(text)
    assert.ok(userId)
    assert.equal(localpartOf(userId), localpart)
    assert.equal(serverNameOf(userId), server)
    assert.equal(isCompliantUserId(userId), isCompliant)
  })
}

const notUserIds = [
  '',
  '@',
  '@a',
  'a:h',
  '!a:h',
  '@a:',
  '@a:h:',
  '@a:b:h',
  '@a\0:h',
  '@a:h\0',
  '@\ud800:h',
  '@a:\ud800',
  ' @a:h',
  '@a:é',
]

for (const text of notUserIds) {
  test(`${JSON.stringify(text)} is no user ID`, () => assert.equal(parseUserId(text), undefined))
}

test('a user ID has at most 255 bytes, however many characters', () => {
  assert.ok(parseUserId(`@${'a'.repeat(252)}:h`))
  assert.equal(parseUserId(`@${'a'.repeat(253)}:h`), undefined)
  assert.ok(parseUserId(`@${'é'.repeat(126)}:h`))
  assert.equal(parseUserId(`@${'é'.repeat(126)}a:h`), undefined)
})

test('an account of ours is of a-z, 0-9, and a few signs, and not nameless', () => {
  const serverName = parseServerName('h')
  assert.ok(serverName)
  for (const localpart of ['alice', '0', 'a.b_c=d-e/f+g']) {
    assert.equal(userIdFor(localpart, serverName), `@${localpart}:h`)
  }
  for (const localpart of ['', 'Alice', 'é', 'a b', 'a:b', 'a\0', '@a', 'a*', 'a'.repeat(253)]) {
    assert.equal(userIdFor(localpart, serverName), undefined, localpart)
  }
})
