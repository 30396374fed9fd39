import assert from 'node:assert/strict'
import { test } from 'node:test'
import { roomClientWorld, type TestUser } from '../../test/room-client-world.ts'
import { memoryImage } from '../storage/sqlite.ts'

const path = (kind: string, ruleId: string, rest = '') =>
  `/pushrules/global/${kind}/${encodeURIComponent(ruleId)}${rest}`

const notify = { actions: ['notify'] }

async function idsOf(user: TestUser, kind: string): Promise<string[]> {
  const rules = (await user.get('/pushrules/global/'))[kind]
  return rules.map((rule: { rule_id: string }) => rule.rule_id)
}

/** The IDs of the user's own rules. */
const ownOf = async (user: TestUser, kind: string) =>
  (await idsOf(user, kind)).filter((id) => !id.startsWith('.'))

test('everybody has the default rules, and no other', async (t) => {
  const world = await roomClientWorld(t)
  const alice = await world.user('alice')
  const { global } = await alice.get('/pushrules/')
  assert.deepEqual(global, await alice.get('/pushrules/global/'))
  assert.equal(global.override[0].rule_id, '.m.rule.master')
  assert.deepEqual([global.content, global.room, global.sender], [[], [], []])
})

test('rules are added, shown, changed and deleted', async (t) => {
  const world = await roomClientWorld(t)
  const alice = await world.user('alice')
  const actions = ['notify', { set_tweak: 'sound', value: 'cakealarm.wav' }]
  await alice.put(path('content', 'nocake'), { pattern: 'cake', actions })
  const rule = { rule_id: 'nocake', default: false, enabled: true, pattern: 'cake', actions }
  assert.deepEqual(await alice.get(path('content', 'nocake')), rule)
  await alice.put(path('content', 'nocake', '/enabled'), { enabled: false })
  await alice.put(path('content', 'nocake', '/actions'), { actions: ['dont_notify'] })
  assert.deepEqual(await alice.get(path('content', 'nocake', '/enabled')), { enabled: false })
  assert.deepEqual(await alice.get(path('content', 'nocake', '/actions')), { actions: [] })
  // What is put again is still disabled: it is enabled when it is created.
  await alice.put(path('content', 'nocake'), { pattern: 'cake*lie', actions: [] })
  const changed = { ...rule, enabled: false, pattern: 'cake*lie', actions: [] }
  assert.deepEqual(await alice.get(path('content', 'nocake')), changed)
  await alice.del(path('content', 'nocake'))
  assert.equal(await alice.refused('GET', path('content', 'nocake')), '404 M_NOT_FOUND')
  assert.equal(await alice.refused('DELETE', path('content', 'nocake')), '404 M_NOT_FOUND')
})

test('a new rule is the most important one, unless it is put beside another', async (t) => {
  const world = await roomClientWorld(t)
  const alice = await world.user('alice')
  for (const id of ['a', 'b', 'c']) await alice.put(path('override', id), notify)
  assert.deepEqual(await ownOf(alice, 'override'), ['c', 'b', 'a'])
  assert.equal((await idsOf(alice, 'override'))[0], '.m.rule.master')
  assert.equal((await idsOf(alice, 'override')).at(-1), '.m.rule.suppress_edits')
  await alice.put(`${path('override', 'd')}?before=a`, notify)
  assert.deepEqual(await ownOf(alice, 'override'), ['c', 'b', 'd', 'a'])
  await alice.put(`${path('override', 'e')}?after=c`, notify)
  assert.deepEqual(await ownOf(alice, 'override'), ['c', 'e', 'b', 'd', 'a'])
  await alice.put(`${path('override', 'f')}?before=a&after=c`, notify)
  assert.deepEqual(await ownOf(alice, 'override'), ['c', 'e', 'b', 'd', 'f', 'a'])
  // One that is there is moved if it is said, else it stays.
  await alice.put(`${path('override', 'a')}?before=c`, notify)
  await alice.put(path('override', 'd'), { actions: [] })
  assert.deepEqual(await ownOf(alice, 'override'), ['a', 'c', 'e', 'b', 'd', 'f'])
  for (const beside of ['?before=nobody', '?after=.m.rule.master', '?before=g']) {
    const refused = await alice.refused('PUT', path('override', 'g') + beside, notify)
    assert.equal(refused, '400 M_UNKNOWN')
  }
  assert.deepEqual(await ownOf(alice, 'override'), ['a', 'c', 'e', 'b', 'd', 'f'])
})

test('default rules can be disabled and given other actions, and nothing else', async (t) => {
  const image = memoryImage()
  const world = await roomClientWorld(t, { image })
  const alice = await world.user('alice')
  const message = path('underride', '.m.rule.message')
  await alice.put(`${message}/actions`, { actions: [] })
  await alice.put(path('override', '.m.rule.master', '/enabled'), { enabled: true })
  const after = await roomClientWorld(t, { image })
  const again = after.client(alice.userId, alice.token)
  assert.deepEqual((await again.get(message)).actions, [])
  assert.equal((await again.get(path('override', '.m.rule.master'))).enabled, true)
  assert.equal(await again.refused('PUT', message, notify), '400 M_INVALID_PARAM')
  assert.equal(await again.refused('DELETE', message), '400 M_INVALID_PARAM')
  const unknown = [path('underride', '.m.rule.none'), path('override', '.m.rule.message')]
  for (const target of unknown) {
    const body = { enabled: true }
    assert.equal(await again.refused('PUT', `${target}/enabled`, body), '404 M_NOT_FOUND')
    assert.equal(await again.refused('PUT', `${target}/actions`, notify), '404 M_NOT_FOUND')
  }
})

test('what is no rule is refused', async (t) => {
  const world = await roomClientWorld(t)
  const alice = await world.user('alice')
  const put = (kind: string, id: string, body: object) => alice.refused('PUT', path(kind, id), body)
  assert.equal(await put('override', '.mine', notify), '400 M_INVALID_PARAM')
  assert.equal(await put('override', 'a/b', notify), '400 M_INVALID_PARAM')
  assert.equal(await put('override', 'a\\b', notify), '400 M_INVALID_PARAM')
  assert.equal(await put('override', 'a', {}), '400 M_MISSING_PARAM')
  assert.equal(await put('content', 'a', notify), '400 M_MISSING_PARAM')
  assert.equal(await put('override', 'a', { actions: ['shout'] }), '400 M_INVALID_PARAM')
  assert.equal(await put('override', 'a', { actions: [{ value: 1 }] }), '400 M_INVALID_PARAM')
  const noKind = { actions: [], conditions: [{ key: 'type' }] }
  assert.equal(await put('override', 'a', noKind), '400 M_INVALID_PARAM')
  const long = { actions: [], pattern: 'x'.repeat(1024) }
  assert.equal(await put('content', 'a', long), '413 M_TOO_LARGE')
  assert.match(await put('device', 'a', notify), /^400 /)
  assert.deepEqual(await ownOf(alice, 'override'), [])
})

test('clients are told of changes', async (t) => {
  const world = await roomClientWorld(t)
  const alice = await world.user('alice')
  const first = await alice.sync()
  const rulesIn = (answer: { account_data: { events: { type: string; content: unknown }[] } }) =>
    answer.account_data.events.filter(({ type }) => type === 'm.push_rules')
  assert.deepEqual(rulesIn(first), [
    { type: 'm.push_rules', content: await alice.get('/pushrules/') },
  ])
  const waiting = alice.sync(`since=${first.next_batch}&timeout=30000`)
  await alice.put(path('room', '!spam:hansa.test'), { actions: [] })
  const content = await alice.get('/pushrules/')
  const { room } = content.global
  assert.deepEqual(room, [
    { rule_id: '!spam:hansa.test', default: false, enabled: true, actions: [] },
  ])
  assert.deepEqual(rulesIn(await waiting), [{ type: 'm.push_rules', content }])
  assert.deepEqual(rulesIn(await alice.sync()), [{ type: 'm.push_rules', content }])
  const user = `/user/${encodeURIComponent(alice.userId)}`
  assert.deepEqual(await alice.get(`${user}/account_data/m.push_rules`), content)
  const body = { global: {} }
  const refused = await alice.refused('PUT', `${user}/account_data/m.push_rules`, body)
  assert.equal(refused, '405 M_BAD_JSON')
})

test('changes at the same time all count', async (t) => {
  const world = await roomClientWorld(t)
  const alice = await world.user('alice')
  const ids = ['a', 'b', 'c', 'd', 'e', 'f']
  await Promise.all(ids.map((id) => alice.put(path('override', id), notify)))
  assert.deepEqual((await ownOf(alice, 'override')).toSorted(), ids)
})

test('the rule of a room is carried over to the one that takes its place', async (t) => {
  const world = await roomClientWorld(t)
  const alice = await world.user('alice')
  await alice.put(path('room', '!old:hansa.test'), { actions: [] })
  const rooms = { from: '!old:hansa.test', to: '!new:hansa.test' } as const
  await world.users.pushRules.carryOver(alice.userId, rooms)
  await world.users.pushRules.carryOver(alice.userId, rooms)
  assert.deepEqual(await ownOf(alice, 'room'), ['!new:hansa.test', '!old:hansa.test'])
  assert.deepEqual((await alice.get(path('room', '!new:hansa.test'))).actions, [])
})
