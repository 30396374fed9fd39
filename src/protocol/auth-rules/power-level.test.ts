import assert from 'node:assert/strict'
import { test } from 'node:test'
import { versionNamed } from '../../../test/room-world.ts'
import { readJson } from '../json-reader.ts'
import { type PowerLevel, readPowerLevel } from './power-level.ts'

// What is written, and the level that it is: in versions 1 to 5, 6 to 9, and 10 and later. The first
// are those that other servers read differently from one another; what the spec says decides. The
// reader of JSON refuses an event with some of them.
const none = Number.NaN
const big = 9007199254740993n
const cases: [
  written: string,
  floats: PowerLevel | 'refused',
  strings?: PowerLevel | 'refused',
  integers?: PowerLevel | 'refused',
][] = [
  ['50', 50, 50, 50],
  ['"50"', 50],
  ['" 50 "', 50],
  [String.raw`"\t50"`, 50],
  ['"+50"', 50],
  ['"-50"', -50],
  ['"++50"', none],
  ['"5_0"', none],
  ['"050"', 50],
  [String.raw`"\u0665\u0660"`, none],
  [String.raw`"\u00a050"`, 50],
  ['"50.0"', none],
  ['"1e2"', none],
  ['""', none],
  ['50.0', 50, 'refused', 'refused'],
  ['50.9', 50, 'refused', 'refused'],
  ['-50.9', -50, 'refused', 'refused'],
  ['1e2', 100, 'refused', 'refused'],
  ['1E400', 'refused', 'refused', 'refused'],
  ['9007199254740993', big, 'refused', 'refused'],
  ['"9007199254740993"', big],
  ['true', none],
  ['null', none],
  ['[50]', none],

  // The spec's own examples.
  ['5.114698E4', 51146, 'refused', 'refused'],
  ['51146.98', 51146, 'refused', 'refused'],
  ['50.57', 50, 'refused', 'refused'],
  ['"100"', 100],
  ['"000100"', 100],
  ['"+100"', 100],
  ['"-100"', -100],
  ['" 00100 "', 100],
  ['" +100 "', 100],
  ['" -100 "', -100],

  ['-0.9', 0, 'refused', 'refused'],
  ['"-0"', 0],
  ['1.5e300', BigInt(1.5e300), 'refused', 'refused'],
  ['"- 50"', none],
  ['"5 0"', none],
  ['"0x32"', none],
  ['"Infinity"', none],
  ['" "', none],
  [String.raw`"\ufeff50"`, none],
  [String.raw`"50\n"`, 50],
  [String.raw`"50\u2003"`, 50],
  [`"${'9'.repeat(400)}"`, none],
  [`"${'0'.repeat(400)}7"`, 7],
  ['{}', none],
  ['9007199254740991', 9007199254740991, 9007199254740991, 9007199254740991],
]

for (const [written, floats, strings = floats, integers = none] of cases) {
  test(`level ${written.slice(0, 30)}`, () => {
    for (const [versions, expected] of [
      [['1', '2', '3', '4', '5'], floats],
      [['6', '7', '8', '9'], strings],
      [['10', '11', '12'], integers],
    ] as const) {
      for (const version of versions) assert.equal(check(version, written), expected, version)
    }
  })
}

test('what is beyond a double is no level', () => {
  const level = readPowerLevel(versionNamed('1'), JSON.rawJSON('1E400'))
  assert.equal(level, Number.NaN)
})

test('a number that is no integer is a level where the spec says how, wherever it came from', () => {
  for (const [version, level] of [
    ['1', 50],
    ['5', 50],
    ['6', Number.NaN],
    ['10', Number.NaN],
  ] as const) {
    assert.equal(readPowerLevel(versionNamed(version), 50.57), level, version)
  }
})

/** Reads as an event of that version is read. */
function check(version: string, written: string): PowerLevel | 'refused' {
  const roomVersion = versionNamed(version)
  const numbers = roomVersion.strictCanonicalJson ? 'canonical' : 'raw'
  const read = readJson(Buffer.from(written), numbers)
  return read.ok ? readPowerLevel(roomVersion, read.value) : 'refused'
}
