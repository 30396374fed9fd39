import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../../io/simulated/simulated-random.ts'
import { charactersOf, matchesWhole, matchesWords } from './text-pattern.ts'

const whole = (pattern: string, text: string) =>
  matchesWhole(pattern.toLowerCase(), charactersOf(text))
const words = (pattern: string, text: string) =>
  matchesWords(pattern.toLowerCase(), charactersOf(text))

test('the examples of the spec for whole values', () => {
  assert.ok(whole('lunc?*', 'Lunch plans'))
  assert.ok(whole('lunc?*', 'LUNCH'))
  assert.ok(!whole('lunc?*', ' lunch'))
  assert.ok(!whole('lunc?*', 'lunc'))
})

test('the examples of the spec for the body', () => {
  for (const text of ['An example event.', 'exple', 'An exciting triple-whammy']) {
    assert.ok(words('ex*ple', text), text)
  }
  assert.ok(!words('ex*ple', 'An inexample'))
  assert.ok(!words('ex*ple', 'exampleness'))
})

test('words begin and end where the spec says', () => {
  const cases: [pattern: string, text: string, expected: boolean][] = [
    ['cake', 'cake', true],
    ['cake', 'a cake!', true],
    ['cake', 'cakes', false],
    ['cake', 'cheese_cake', false],
    ['cake', 'cheese-cake', true],
    // A letter that is not in the sets is no part of a word.
    ['cake', 'écakeé', true],
    ['@room', 'hi@room', true],
    ['cake', 'cakes cake', true],
    ['*cake', 'xcake', true],
    ['cake*', 'xcake', false],
    ['c?ke', 'a c🎂ke', true],
    ['', 'anything', true],
    ['*', '', true],
    ['?', '', false],
  ]
  for (const [pattern, text, expected] of cases) {
    assert.equal(words(pattern, text), expected, `${pattern} in ${text}`)
  }
})

test('whole values', () => {
  const cases: [pattern: string, text: string, expected: boolean][] = [
    ['', '', true],
    ['', 'a', false],
    ['*', '', true],
    ['**', 'abc', true],
    ['a*b*c', 'aXbXbXc', true],
    ['a*b*c', 'aXbXbX', false],
    ['a*a', 'a', false],
    ['*a*', 'bab', true],
    ['ab?', 'ab', false],
    ['?', '🎂', true],
  ]
  for (const [pattern, text, expected] of cases) {
    assert.equal(whole(pattern, text), expected, `${pattern} on ${text}`)
  }
})

/** The same by trying everything out: the definition, in time that nobody has. */
function byDefinition(pattern: string, text: string): boolean {
  if (pattern === '') return text === ''
  const [first, rest] = [pattern.charAt(0), pattern.slice(1)]
  if (first !== '*') {
    return (
      text !== '' &&
      (first === '?' || first === text.charAt(0)) &&
      byDefinition(rest, text.slice(1))
    )
  }
  return byDefinition(rest, text) || (text !== '' && byDefinition(pattern, text.slice(1)))
}

function wordsByDefinition(pattern: string, text: string): boolean {
  const isBoundary = (at: number) =>
    at === 0 || at === text.length || /[^a-z0-9_]/.test(text.slice(at - 1, at + 1))
  for (let from = 0; from <= text.length; from++) {
    for (let to = from; to <= text.length; to++) {
      if (!isBoundary(from) || !isBoundary(to)) continue
      if (byDefinition(pattern, text.slice(from, to))) return true
    }
  }
  return false
}

test('what is found is what the definition says, for many patterns and texts', () => {
  const random = seededRandom(7)
  const draw = (alphabet: string, lengthMax: number) =>
    Array.from({ length: random.below(lengthMax + 1) }, () => random.pick([...alphabet])).join('')
  for (let round = 0; round < 3000; round++) {
    const [pattern, text] = [draw('ab*? ', 6), draw('ab -', 9)]
    assert.equal(whole(pattern, text), byDefinition(pattern, text), `${pattern} on ${text}`)
    assert.equal(words(pattern, text), wordsByDefinition(pattern, text), `${pattern} in ${text}`)
  }
})

test('a piece of more than 32 characters is found, across every border of words', () => {
  for (const length of [31, 32, 33, 64, 65, 200]) {
    const piece = Array.from({ length }, (_, at) => String.fromCharCode(0x61 + (at % 23))).join('')
    assert.ok(words(piece, `xx ${piece} yy`), String(length))
    assert.ok(!words(piece, `xx ${piece.slice(0, -1)} yy`), String(length))
    assert.ok(whole(`*${piece}?`, `b${piece}c`), String(length))
  }
})
