import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { describeSettings } from './describe.ts'

const path = 'docs/config.md'

test('docs/config.md says what the settings are (HANSA_TEST_WRITE=1 writes it anew)', () => {
  if (process.env.HANSA_TEST_WRITE) writeFileSync(path, describeSettings())
  assert.equal(readFileSync(path, 'utf8'), describeSettings())
})
