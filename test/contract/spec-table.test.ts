import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { skip } from './openapi.ts'
import { specTable, tablePath } from './spec-table.ts'

test('SPEC.md is fresh: else run node test/contract/spec-table.ts --write', { skip }, async () => {
  assert.equal(readFileSync(tablePath, 'utf8'), await specTable())
})
