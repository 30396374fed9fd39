/**
 * Reading `X-Matrix`, above all where other servers differ. The names of the first cases are those
 * of a table of what three servers make of such headers; where they differ, RFC 9110 decides.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { formatXMatrix, parseXMatrix } from './x-matrix.ts'

const plain = 'a.com|b.com|ed25519:1|abc'

/** A header and what it says: origin, destination, key and signature, or that it is refused. */
const differential = [
  ['spec form', 'X-Matrix origin="a.com",destination="b.com",key="ed25519:1",sig="abc"', plain],
  ['unquoted tokens', 'X-Matrix origin=a.com,destination=b.com,key="ed25519:1",sig=abc', plain],
  [
    'unquoted colon (compat)',
    'X-Matrix origin=a.com:8448,destination=b.com,key=ed25519:1,sig=abc',
    'a.com:8448|b.com|ed25519:1|abc',
  ],
  [
    'upper-case names',
    'X-Matrix ORIGIN="a.com",Destination="b.com",KEY="ed25519:1",SIG="abc"',
    plain,
  ],
  [
    'lower-case scheme',
    'x-matrix origin="a.com",destination="b.com",key="ed25519:1",sig="abc"',
    plain,
  ],
  [
    'tabs/spaces',
    'X-Matrix  origin="a.com" ,\tdestination="b.com"\t, key="ed25519:1" , sig="abc"',
    plain,
  ],
  [
    'comma in quotes',
    'X-Matrix origin="a.com",destination="b.com",key="ed25519:1,x",sig="abc"',
    'a.com|b.com|ed25519:1,x|abc',
  ],
  [
    'backslash pair',
    String.raw`X-Matrix origin="a\.com",destination="b.com",key="ed25519:1",sig="abc"`,
    plain,
  ],
  [
    'dup origin (last/first)',
    'X-Matrix origin="evil.com",origin="a.com",destination="b.com",key="ed25519:1",sig="abc"',
    'refused',
  ],
  [
    'param smuggled in value',
    String.raw`X-Matrix origin="a.com",destination="b.com",key="ed25519:1 origin=\"evil.com\"",sig="abc"`,
    'a.com|b.com|ed25519:1 origin="evil.com"|abc',
  ],
  ['no destination', 'X-Matrix origin="a.com",key="ed25519:1",sig="abc"', 'a.com||ed25519:1|abc'],
  [
    'trailing comma',
    'X-Matrix origin="a.com",destination="b.com",key="ed25519:1",sig="abc",',
    plain,
  ],
  [
    'unknown param',
    'X-Matrix origin="a.com",destination="b.com",key="ed25519:1",sig="abc",foo="bar"',
    plain,
  ],
  [
    'unterminated quote',
    'X-Matrix origin="a.com",destination="b.com",key="ed25519:1",sig="abc',
    'refused',
  ],
  [
    'equals in sig',
    'X-Matrix origin="a.com",destination="b.com",key="ed25519:1",sig="abc=="',
    'a.com|b.com|ed25519:1|abc==',
  ],
] as const

const further = [
  ['another scheme', 'Bearer origin="a.com",key="ed25519:1",sig="abc"', 'refused'],
  ['a scheme that only begins alike', 'X-MatrixX origin=a,key=b,sig=c', 'refused'],
  ['a tab after the scheme', 'X-Matrix\torigin=a,key=b,sig=c', 'refused'],
  ['no parameters', 'X-Matrix ', 'refused'],
  ['nothing', '', 'refused'],
  ['no origin', 'X-Matrix key=k,sig=s', 'refused'],
  ['no key', 'X-Matrix origin=a,sig=s', 'refused'],
  ['no signature', 'X-Matrix origin=a,key=k', 'refused'],
  ['`signature` is not `sig`', 'X-Matrix origin=a,key=k,signature=s', 'refused'],
  ['any order', 'X-Matrix sig=s,key=k,destination=d,origin=o', 'o|d|k|s'],
  ['empty elements', 'X-Matrix ,, origin=o,,key=k, ,sig=s', 'o||k|s'],
  ['spaces around the equals sign', 'X-Matrix origin = o,key= k,sig =s', 'o||k|s'],
  ['no comma', 'X-Matrix origin=o key=k,sig=s', 'refused'],
  ['a semicolon', 'X-Matrix origin=o;key=k;sig=s', 'refused'],
  ['a slash without quotes', 'X-Matrix origin=o,key=k,sig=a/b', 'refused'],
  ['text after a quoted value', 'X-Matrix origin="o"x,key=k,sig=s', 'refused'],
  ['a value that is absent', 'X-Matrix origin=,key=k,sig=s', 'refused'],
  ['an empty quoted value', 'X-Matrix origin="",key=k,sig=s', '||k|s'],
  ['the same name in another case', 'X-Matrix origin=a,ORIGIN=a,key=k,sig=s', 'refused'],
  ['an unknown name twice', 'X-Matrix origin=a,key=k,sig=s,x=1,x=2', 'refused'],
  [
    'an escaped backslash at the end',
    String.raw`X-Matrix origin="o\\",key=k,sig=s`,
    String.raw`o\||k|s`,
  ],
  ['a backslash before the last quote', String.raw`X-Matrix origin="o\",key=k,sig=s`, 'refused'],
  ['a line break', 'X-Matrix origin="o\n",key=k,sig=s', 'refused'],
  ['too long', `X-Matrix origin=o,key=k,sig="${'s'.repeat(5000)}"`, 'refused'],
  ['prototype names', 'X-Matrix origin=o,key=k,sig=s,__proto__=x,constructor=y', 'o||k|s'],
] as const

for (const [name, header, outcome] of [...differential, ...further]) {
  test(`X-Matrix: ${name}`, () => {
    assert.equal(check(header), outcome)
  })
}

/** Results of other servers, one case a line that does not begin with a space. */
const resultsUrl = new URL('../../../shared/vectors/xmatrix-differential.txt', import.meta.url)

test('every case of the table of differences is covered', (context) => {
  const results = readOptional(resultsUrl)
  if (results === undefined) {
    context.skip(`${resultsUrl.pathname} is not there`)
    return
  }
  const names = results.split('\n').filter((line) => line !== '' && !line.startsWith(' '))
  assert.deepEqual(
    names,
    differential.map(([name]) => name),
  )
})

test('what is written can be read', () => {
  const values = {
    origin: '[::1]:8448',
    destination: 'b.com',
    key: 'ed25519:a_1',
    sig: 'ab+/cd',
  }
  assert.equal(
    formatXMatrix(values),
    'X-Matrix origin="[::1]:8448",destination="b.com",key="ed25519:a_1",sig="ab+/cd"',
  )
  assert.deepEqual(parseXMatrix(formatXMatrix(values)), values)
})

function check(header: string): string {
  const read = parseXMatrix(header)
  if (read === undefined) return 'refused'
  return [read.origin, read.destination, read.key, read.sig].join('|')
}

function readOptional(url: URL): string | undefined {
  try {
    return readFileSync(url, 'utf8')
  } catch {
    return undefined
  }
}
