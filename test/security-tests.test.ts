/**
 * That `docs/security-tests.md` is true as far as it can be checked: every class is there once, and
 * every test that it names exists.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'

const text = readFileSync('docs/security-tests.md', 'utf8')

const classes = { A: 18, B: 12, C: 6, D: 15 }

const rows = text.split('\n').flatMap((line) => {
  const [, id = '', state = '', tests = ''] =
    /^\| ([A-D]\d+) [^|]+ \| (\S[^|]*) \| [^|]+ \| (.*) ?\|$/.exec(line) ?? []
  return id === '' ? [] : [{ id, state, tests }]
})

test('every class of attack has its line', () => {
  const expected = Object.entries(classes).flatMap(([letter, count]) =>
    Array.from({ length: count }, (_, at) => `${letter}${at + 1}`),
  )
  assert.deepEqual(
    rows.map(({ id }) => id),
    expected,
  )
})

for (const { id, state, tests } of rows) {
  test(`${id} is ${state}, and the tests that say so exist`, () => {
    const named = [...tests.matchAll(/`([^`]+\.test\.ts)`: "([^"]+)"/g)]
    assert.ok(['covered', 'in part', 'open'].includes(state), state)
    assert.equal(named.length > 0, state !== 'open', 'what is covered is so by a test')
    assert.equal(named.length, tests.split(';').filter((part) => part.trim() !== '').length)
    for (const [, path = '', name = ''] of named) {
      assert.ok(existsSync(path), path)
      const titles = [
        ...readFileSync(path, 'utf8').matchAll(
          /\b(?:test|forEachDatabase)\(\s*(['"`])(.*?)\1\s*,/g,
        ),
      ]
      assert.ok(
        titles.some(([, , title]) => title === name),
        `${path} has no test "${name}"`,
      )
    }
  })
}
