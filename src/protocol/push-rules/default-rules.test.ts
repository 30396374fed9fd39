import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import type { JsonObject } from '../json.ts'
import { defaultPushRules } from './default-rules.ts'

const specText = '../shared/spec/client-server-api/modules/push.md'
const skip = existsSync(specText) ? false : `${specText} is not there`

test('the default rules are those of the spec, in its order', { skip }, () => {
  const text = readFileSync(specText, 'utf8')
  const section = text.slice(
    text.indexOf('#### Predefined Rules'),
    text.indexOf('#### Push Rules: API'),
  )
  const rules = [...section.matchAll(/```json\n([\s\S]+?)```/g)].map(
    ([, json = '']) =>
      JSON.parse(json.replaceAll("[the user's Matrix ID]", '@alice:a')) as JsonObject,
  )
  const { override, underride, postcontent, ...others } = defaultPushRules('@alice:a')
  assert.deepEqual([...override, ...underride], rules)
  assert.deepEqual(others, { content: [], room: [], sender: [] })
  // Those of a proposal.
  assert.ok(postcontent.every(({ rule_id }) => rule_id.startsWith('.io.element.msc4306.')))
})
