import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { UserId } from '#protocol/identifiers/ids.ts'
import type { PushAction } from '#protocol/push-rules/ruleset.ts'
import { type AudienceGroup, actionsFor, packAudience } from './audience.ts'

const user = (name: string) => `@${name}:x` as UserId
const notify: readonly PushAction[] = ['notify']
const loud: readonly PushAction[] = ['notify', { set_tweak: 'sound', value: 'own.wav' }]

const group = (
  actions: readonly PushAction[] | undefined,
  members: string[],
  outsiders: string[] = [],
): AudienceGroup => ({ actions, members: members.map(user), outsiders: outsiders.map(user) })

const cases: [string, AudienceGroup[]][] = [
  ['nobody', []],
  ['all', [group(notify, ['a', 'b', 'c'])]],
  ['most', [group(notify, ['a', 'b', 'c']), group(undefined, ['d'])]],
  ['few', [group(undefined, ['a', 'b', 'c']), group(notify, ['d'])]],
  ['in several ways', [group(loud, ['a']), group(notify, ['b', 'c']), group(undefined, ['d'])]],
  ['one from outside', [group(undefined, ['a', 'b']), group(notify, [], ['o'])]],
  ['alone from outside', [group(notify, [], ['o'])]],
  ['outside as inside', [group(notify, ['a', 'b'], ['o']), group(undefined, ['d'], ['p'])]],
]

for (const [name, groups] of cases) {
  test(`an audience is read as it was written: ${name}`, () => {
    const packed = packAudience(groups)
    for (const { actions, members, outsiders } of groups) {
      for (const id of members) {
        assert.deepEqual(actionsFor(packed, id, { isMember: true }), actions, `${id} ${packed}`)
      }
      for (const id of outsiders) {
        assert.deepEqual(actionsFor(packed, id, { isMember: false }), actions, `${id} ${packed}`)
      }
    }
    assert.equal(actionsFor(packed, user('stranger'), { isMember: false }), undefined)
  })
}

test('an audience of everybody is short, however many they are', () => {
  const many = Array.from({ length: 1_000 }, (_, at) => `user${at}`)
  const packed = packAudience([group(notify, many), group(undefined, ['d'])])
  assert.ok(packed.length < 50, packed)
})
