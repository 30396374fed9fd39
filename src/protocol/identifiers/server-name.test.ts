import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isIpLiteral, parseServerName, splitServerName } from './server-name.ts'

/** Name, what its host is, the host, the port. */
const names = [
  // The appendices' examples.
  ['matrix.org', 'dns', 'matrix.org', undefined],
  ['matrix.org:8888', 'dns', 'matrix.org', 8888],
  ['1.2.3.4', 'ipv4', '1.2.3.4', undefined],
  ['1.2.3.4:1234', 'ipv4', '1.2.3.4', 1234],
  ['[1234:5678::abcd]', 'ipv6', '1234:5678::abcd', undefined],
  ['[1234:5678::abcd]:5678', 'ipv6', '1234:5678::abcd', 5678],
  // The edges of the grammar.
  ['a', 'dns', 'a', undefined],
  ['MATRIX.ORG', 'dns', 'MATRIX.ORG', undefined],
  ['xn--bcher-kva.example', 'dns', 'xn--bcher-kva.example', undefined],
  ['matrix.org.', 'dns', 'matrix.org.', undefined],
  ['a'.repeat(255), 'dns', 'a'.repeat(255), undefined],
  ['a:0', 'dns', 'a', 0],
  ['a:99999', 'dns', 'a', 99999],
  ['a:00080', 'dns', 'a', 80],
  ['1.2.3', 'dns', '1.2.3', undefined],
  ['1.2.3.4.5', 'dns', '1.2.3.4.5', undefined],
  ['1.2.3.1234', 'dns', '1.2.3.1234', undefined],
  ['0.0.0.0', 'ipv4', '0.0.0.0', undefined],
  ['255.255.255.255', 'ipv4', '255.255.255.255', undefined],
  ['[::]', 'ipv6', '::', undefined],
  ['[::1]:8448', 'ipv6', '::1', 8448],
  ['[1::]', 'ipv6', '1::', undefined],
  ['[1:2:3:4:5:6:7:8]', 'ipv6', '1:2:3:4:5:6:7:8', undefined],
  ['[1:2:3:4:5:6:7::]', 'ipv6', '1:2:3:4:5:6:7::', undefined],
  ['[::FFFF:1.2.3.4]', 'ipv6', '::FFFF:1.2.3.4', undefined],
  ['[1:2:3:4:5:6:1.2.3.4]', 'ipv6', '1:2:3:4:5:6:1.2.3.4', undefined],
] as const

for (const [name, kind, host, port] of names) {
  test(`${name.slice(0, 40)} is a server name (${kind})`, () => {
    assert.equal(parseServerName(name), name)
    assert.deepEqual(splitServerName(name), { kind, host, port })
    const serverName = parseServerName(name)
    assert.equal(serverName !== undefined && isIpLiteral(serverName), kind !== 'dns')
  })
}

const notNames = [
  '',
  ':1',
  'a:',
  'a:b',
  'a:123456',
  'a:-1',
  'a:+1',
  'a: 1',
  'a:1 ',
  'a:٨٠',
  'a:1:2',
  'a b',
  'a_b',
  'a/b',
  '../a',
  '.',
  '..',
  '..:80',
  '-',
  'a\0',
  'a\n',
  'é.org',
  'a@b',
  'a'.repeat(256),
  '256.1.1.1',
  '1.1.1.999:80',
  '::1',
  '[]',
  '[:]',
  '[:::]',
  '[::1',
  '::1]',
  '[::1]x',
  '[::1]:',
  '[::1%eth0]',
  '[1]',
  '[a.b]',
  '[1::2::3]',
  '[12345::]',
  '[g::]',
  '[:1]',
  '[1:]',
  '[1:2:3:4:5:6:7]',
  '[1:2:3:4:5:6:7:8:9]',
  '[1:2:3:4:5:6:7:8::]',
  '[1:2:3:4:5:6:7:1.2.3.4]',
  '[1.2.3.4::]',
  '[::1.2.3.4:1]',
  '[::1.2.3.256]',
  '[::1.02.3.4]',
  '[1::3.08.9.0]',
  '[::1.2.3]',
  `[${'0'.repeat(46)}]`,
]

for (const text of notNames) {
  test(`${JSON.stringify(text).slice(0, 40)} is no server name`, () => {
    assert.equal(parseServerName(text), undefined)
  })
}
