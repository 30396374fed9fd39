/**
 * That `docs/security-tests.md` is true as far as it can be checked: every class is there once,
 * every test that it names exists, and what it says of guards is so in the table of `test/guards/`.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { guards } from './guards/guards.ts'
import { titlesIn } from './guards/titles.ts'

const text = readFileSync('docs/security-tests.md', 'utf8')

const classes = { A: 18, B: 12, C: 6, D: 15, E: 9 }

const rows = text.split('\n').flatMap((line) => {
  const [, id = '', state = '', tests = ''] =
    /^\| ([A-E]\d+) [^|]+ \| (\S[^|]*) \| [^|]+ \| (.*) ?\|$/.exec(line) ?? []
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

test('the classes of which guards are taken out are those that are said to be', () => {
  const inTable = new Set(guards.map(({ attack }) => attack))
  const without = rows.map(({ id }) => id).filter((id) => !inTable.has(id))
  const but =
    without.length === 0 ? '' : ` but ${without.join(', ').replace(/, ([^,]*)$/, ' and $1')}`
  assert.ok(text.includes(`\nOf every class${but} guards are taken out by `), but)
  for (const id of inTable)
    assert.ok(
      rows.some((row) => row.id === id),
      `there is no class ${id}`,
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
      assert.ok(
        titlesIn(readFileSync(path, 'utf8')).includes(name),
        `${path} has no test "${name}"`,
      )
    }
  })
}
