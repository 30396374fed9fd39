import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { matchesGlob } from './glob.ts'
import type { ServerName } from './identifiers/ids.ts'
import type { JsonObject } from './json.ts'
import { isServerAllowed, readServerAcl } from './server-acl.ts'

const globs = [
  ['', '', true],
  ['', 'a', false],
  ['a', '', false],
  ['*', '', true],
  ['*', 'abc', true],
  ['?', '', false],
  ['?', 'a', true],
  ['?', 'ab', false],
  ['????', 'abcd', true],
  ['a*', 'abc', true],
  ['*c', 'abc', true],
  ['*b', 'abc', false],
  ['a*c', 'abbbc', true],
  ['a*c', 'abcb', false],
  ['*a*b*', 'xxaxxbxx', true],
  ['*ab', 'aab', true],
  ['*.evil.com', 'a.evil.com', true],
  ['*.evil.com', 'evil.com', false],
  ['a.c', 'abc', false],
  ['[ab]', 'a', false],
  ['a+', 'aa', false],
  ['a\\*', 'a*', false],
  ['?', '😀', true],
  ['😀*', '😀a', true],
  ['A', 'a', false],
] as const

for (const [pattern, text, expected] of globs) {
  test(`${pattern} ${expected ? 'matches' : 'does not match'} ${text}`, () => {
    assert.equal(matchesGlob(pattern, text), expected)
  })
}

test('globs match as their regular expressions do', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', '.'), maxLength: 8 })
  const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '.', '*', '?'), maxLength: 6 })
  fc.assert(
    fc.property(pattern, text, (pattern, text) => {
      const source = pattern.replaceAll('.', '\\.').replaceAll('*', '.*').replaceAll('?', '.')
      assert.equal(matchesGlob(pattern, text), new RegExp(`^${source}$`).test(text))
    }),
    { numRuns: 2000 },
  )
})

test('a pattern of many stars takes no more steps than the product of the lengths', () => {
  assert.equal(matchesGlob(`${'*a'.repeat(5000)}b`, 'a'.repeat(250)), false)
  assert.equal(matchesGlob(`${'*a'.repeat(50)}b`, 'a'.repeat(250)), false)
})

const everyone = { allow: ['*'] }
const cases: readonly [
  name: string,
  content: JsonObject | undefined,
  server: string,
  allowed: boolean,
][] = [
  ['no list', undefined, 'a.com', true],
  ['an empty list', {}, 'a.com', false],
  ['everyone', everyone, 'a.com', true],
  ['a denied server', { ...everyone, deny: ['evil.com'] }, 'evil.com', false],
  ['deny before allow', { allow: ['evil.com'], deny: ['evil.com'] }, 'evil.com', false],
  ['with a port', { ...everyone, deny: ['evil.com'] }, 'evil.com:8448', false],
  ['another port', { ...everyone, deny: ['evil.com'] }, 'evil.com:1', false],
  ['in capitals', { ...everyone, deny: ['evil.com'] }, 'EVIL.com', false],
  ['a pattern in capitals', { ...everyone, deny: ['*.Evil.com'] }, 'x.evil.com', false],
  ['a pattern with a port', { ...everyone, deny: ['evil.com:8448'] }, 'evil.com:8448', true],
  ['a longer name', { ...everyone, deny: ['evil.com'] }, 'evil.com.org', true],
  ['question marks', { ...everyone, deny: ['????'] }, 'evil', false],
  ['allowed by pattern', { allow: ['*.good.com'] }, 'a.good.com', true],
  ['not allowed by pattern', { allow: ['*.good.com'] }, 'good.com', false],
  ['IPv4', { ...everyone, allow_ip_literals: false }, '1.2.3.4', false],
  ['IPv4 with a port', { ...everyone, allow_ip_literals: false }, '1.2.3.4:80', false],
  ['IPv6', { ...everyone, allow_ip_literals: false }, '[::1]', false],
  ['IPv6 with a port', { ...everyone, allow_ip_literals: false }, '[::1]:8448', false],
  ['a name beside denied literals', { ...everyone, allow_ip_literals: false }, '1.2.3.4.com', true],
  ['literals allowed', { ...everyone, allow_ip_literals: true }, '[::1]:8448', true],
  ['literals not mentioned', everyone, '[::1]:8448', true],
  ['literals no boolean', { ...everyone, allow_ip_literals: 'false' }, '1.2.3.4', true],
  ['IPv6 by pattern', { ...everyone, deny: ['[::1]'] }, '[::1]:8448', false],
  ['allow no list', { allow: '*' }, 'a.com', false],
  ['deny no list', { ...everyone, deny: 'a.com' }, 'a.com', true],
  ['other things in the lists', { allow: [5, null, '*'], deny: [{}, 'b.com'] }, 'a.com', true],
  ['other things in the lists, denied', { allow: ['*'], deny: [{}, 'b.com'] }, 'b.com', false],
  ['no server name', everyone, 'a b', false],
]

for (const [name, content, server, allowed] of cases) {
  test(`${name}: ${server} is ${allowed ? 'allowed' : 'denied'}`, () => {
    const acl = content && readServerAcl(content)
    assert.equal(isServerAllowed(acl, server as ServerName), allowed)
  })
}
