/**
 * That the table of guards is true as far as it can be seen without taking any of them out, which
 * `npm run guards` does: each guard's text is in its file once, and its test exists.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { namePattern } from './guards/guard.ts'
import { guards } from './guards/guards.ts'
import { guardsPath, guardsText } from './guards/guards-text.ts'
import { titlesIn } from './guards/titles.ts'

const texts = new Map<string, string>()
const textOf = (file: string) => texts.getOrInsertComputed(file, () => readFileSync(file, 'utf8'))

test('every guard is in its file, once', () => {
  for (const { attack, guard, edits } of guards) {
    for (const { file, text, instead } of edits) {
      const label = `${attack}, ${guard}, in ${file}: ${text}`
      assert.equal(textOf(file).split(text).length - 1, 1, label)
      assert.notEqual(text, instead, label)
    }
  }
})

test('every guard has a test that may see that it is out', () => {
  for (const { attack, guard, witness } of guards) {
    const { file, title, titleIn = file } = witness
    assert.ok(titlesIn(textOf(titleIn)).includes(title), `${attack}, ${guard}: ${file}: ${title}`)
    new RegExp(namePattern(witness))
  }
})

test('no guard is there twice', () => {
  const keys = guards.map(({ attack, guard }) => `${attack}: ${guard}`)
  assert.deepEqual(
    keys.filter((key, at) => keys.indexOf(key) !== at),
    [],
  )
})

test('the table for readers is of these guards: npm run guards -- --write', () => {
  assert.equal(readFileSync(guardsPath, 'utf8'), guardsText())
})
