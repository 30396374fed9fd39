import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EventId, RoomId, UserId } from '../identifiers/ids.ts'
import type { JsonObject } from '../json.ts'
import type { Pdu } from '../pdu.ts'
import { roomVersions } from '../room-version.ts'
import { compileCondition } from './conditions.ts'
import { noKnownRules, notificationFor, readyRules, tweaksIn } from './evaluate.ts'
import { EventView, type RoomFacts, type ViewedEvent } from './event-view.ts'
import { readRule } from './read-rule.ts'
import {
  type ChangedRules,
  noChanges,
  type RuleKind,
  rulesetOf,
  withChange,
  withRule,
} from './ruleset.ts'

const alice = '@alice:example.org' as UserId
const bob = '@bob:example.org' as UserId
const version = roomVersions.get('11')
assert.ok(version !== undefined)

const facts: RoomFacts = { memberCount: 3, create: undefined, powerLevels: undefined }

const event = (given: Partial<ViewedEvent> = {}): ViewedEvent => ({
  type: 'm.room.message',
  sender: bob,
  room_id: '!room:example.org' as RoomId,
  event_id: '$event' as EventId,
  origin_server_ts: 1,
  content: { msgtype: 'm.text', body: 'An example event.' },
  ...given,
})

const told = (given: Partial<ViewedEvent>, changed: ChangedRules = noChanges, room = facts) =>
  notificationFor(
    readyRules(rulesetOf(alice, changed), alice, noKnownRules()),
    new EventView(event(given), room),
    {
      userId: alice,
      displayName: 'Alice',
      work: 1_000_000,
    },
  )?.actions

const holds = (condition: JsonObject, given: Partial<ViewedEvent> = {}, room = facts) =>
  compileCondition(condition).holds(new EventView(event(given), room), {
    userId: alice,
    displayName: 'Al*ce B.',
    work: 1_000_000,
  })

const powerLevels = (content: JsonObject) => ({ version, content }) as Pdu

const sound = (value: string) => ({ set_tweak: 'sound', value })
const highlight = { set_tweak: 'highlight' }

test('what the default rules say of each kind of event', () => {
  const inviteOf = (userId: string) => ({
    type: 'm.room.member',
    state_key: userId,
    content: { membership: 'invite' },
  })
  const mention = (mentions: JsonObject, more = {}) => ({
    content: { body: 'x', 'm.mentions': mentions, ...more },
  })
  const pair = { ...facts, memberCount: 2 }
  const cases: [Partial<ViewedEvent>, readonly unknown[] | undefined, RoomFacts?][] = [
    [{}, ['notify']],
    [{}, ['notify', sound('default')], pair],
    [{ content: { msgtype: 'm.notice', body: 'x' } }, undefined],
    [inviteOf(alice), ['notify', sound('default')]],
    [inviteOf('@carol:example.org'), undefined],
    [{ ...inviteOf(alice), content: { membership: 'ban' } }, undefined],
    [mention({ user_ids: [bob, alice] }), ['notify', sound('default'), highlight]],
    [mention({ user_ids: [bob] }), ['notify']],
    [mention({ user_ids: alice }), ['notify']],
    // The sender has no power.
    [mention({ room: true }), ['notify']],
    [
      mention({ room: true }),
      ['notify', highlight],
      { ...facts, powerLevels: powerLevels({ users: { [bob]: 50 } }) },
    ],
    [
      mention({ room: true }),
      ['notify', highlight],
      { ...facts, powerLevels: powerLevels({ notifications: { room: 0 } }) },
    ],
    [mention({ room: 'true' }), ['notify']],
    [{ type: 'm.room.tombstone', state_key: '' }, ['notify', highlight]],
    [{ type: 'm.room.tombstone', state_key: 'x' }, undefined],
    [{ type: 'm.room.tombstone' }, undefined],
    [{ type: 'm.reaction' }, undefined],
    [{ type: 'm.room.server_acl', state_key: '' }, undefined],
    [{ content: { body: 'x', 'm.relates_to': { rel_type: 'm.replace' } } }, undefined],
    [
      mention({ user_ids: [alice] }, { 'm.relates_to': { rel_type: 'm.replace' } }),
      ['notify', sound('default'), highlight],
    ],
    [{ type: 'm.call.invite' }, ['notify', sound('ring')]],
    [{ type: 'm.room.encrypted', content: {} }, ['notify']],
    [{ type: 'm.room.encrypted', content: {} }, ['notify', sound('default')], pair],
    [{ type: 'm.room.topic', state_key: '', content: { topic: 'x' } }, undefined],
  ]
  for (const [given, expected, room] of cases) {
    assert.deepEqual(told(given, noChanges, room), expected, JSON.stringify(given))
  }
})

const rule = (changed: ChangedRules, kind: RuleKind, ruleId: string, given: object) =>
  withRule(changed, kind, readRule(kind, ruleId, { actions: ['notify'], ...given }), {})

test('kinds are asked in their order, and the master rule before all', () => {
  const actions = (name: string) => ({ actions: ['notify', sound(name)] })
  let changed = rule(noChanges, 'underride', 'u', actions('underride'))
  assert.deepEqual(told({}, changed), ['notify', sound('underride')])
  changed = rule(changed, 'sender', bob, actions('sender'))
  assert.deepEqual(told({}, changed), ['notify', sound('sender')])
  changed = rule(changed, 'room', '!room:example.org', actions('room'))
  assert.deepEqual(told({}, changed), ['notify', sound('room')])
  changed = rule(changed, 'content', 'c', { pattern: 'EXAMPLE', ...actions('content') })
  assert.deepEqual(told({}, changed), ['notify', sound('content')])
  changed = rule(changed, 'override', 'o', actions('override'))
  assert.deepEqual(told({}, changed), ['notify', sound('override')])
  // A rule of one's own goes before the default ones, and the newest first.
  changed = rule(changed, 'override', 'p', { actions: [] })
  assert.equal(told({ content: { 'm.mentions': { user_ids: [alice] } } }, changed), undefined)
  const master = { userId: alice, kind: 'override', ruleId: '.m.rule.master' } as const
  const allOff = withChange(changed, master, { enabled: true })
  assert.equal(told({}, allOff), undefined)
  const p = { userId: alice, kind: 'override', ruleId: 'p' } as const
  assert.deepEqual(told({}, withChange(changed, p, { enabled: false })), [
    'notify',
    sound('override'),
  ])
  assert.deepEqual(told({ sender: alice, room_id: '!b:c' as RoomId, content: {} }), ['notify'])
})

test('the actions of default rules can be changed', () => {
  const name = { userId: alice, kind: 'underride', ruleId: '.m.rule.message' } as const
  assert.equal(told({}, withChange(noChanges, name, { actions: [] })), undefined)
})

test('dont_notify and coalesce are ignored', () => {
  const given = { actions: ['dont_notify', 'notify', 'coalesce'] }
  assert.deepEqual(readRule('override', 'r', given).actions, ['notify'])
  assert.equal(told({}, rule(noChanges, 'override', 'r', { actions: ['dont_notify'] })), undefined)
})

test('tweaks', () => {
  assert.deepEqual(tweaksIn(['notify', sound('bing'), highlight]), {
    sound: 'bing',
    highlight: true,
  })
  assert.deepEqual(tweaksIn([{ set_tweak: 'highlight', value: false }]), { highlight: false })
  assert.deepEqual(tweaksIn(['notify']), {})
})

test('event_match', () => {
  const match = (key: string, pattern: string) => ({ kind: 'event_match', key, pattern })
  const topic = (value: unknown) => ({ content: { topic: value } as JsonObject })
  assert.ok(holds(match('content.topic', 'lunc?*'), topic('Lunch plans')))
  assert.ok(holds(match('content.topic', 'lunch'), topic('LUNCH')))
  assert.ok(!holds(match('content.topic', '*'), topic(null)))
  assert.ok(!holds(match('content.topic', '*'), topic(3)))
  assert.ok(!holds(match('content.other', '*'), topic('x')))
  assert.ok(!holds(match('content', '*')))
  assert.ok(holds(match('content.body', 'ex*ple')))
  assert.ok(!holds(match('content.body', 'exampl')))
  assert.ok(holds(match('room_id', '!room:example.org')))
  assert.ok(holds(match('event_id', '$ev*')))
  assert.ok(holds(match('content.m\\.x.y', 'z'), { content: { 'm.x': { y: 'Z' } } }))
  assert.ok(!holds(match('constructor.name', '*')))
  assert.ok(!holds({ kind: 'event_match', key: 'type' }))
})

test('event_property_is', () => {
  const is = (value: unknown) =>
    ({ kind: 'event_property_is', key: 'content.m\\.federate', value }) as JsonObject
  const federate = (value: unknown) => ({ content: { 'm.federate': value } as JsonObject })
  assert.ok(holds(is(true), federate(true)))
  assert.ok(!holds(is(true), federate('true')))
  assert.ok(!holds(is(true), federate(1)))
  assert.ok(holds(is(1), federate(1)))
  assert.ok(holds(is(null), federate(null)))
  assert.ok(!holds(is(null), { content: {} }))
  assert.ok(!holds(is([1]), federate([1])))
  assert.ok(!holds(is(1.5), federate(1.5)))
  assert.ok(!holds(is('True'), federate('true')))
})

test('event_property_contains', () => {
  const contains = (value: unknown) =>
    ({ kind: 'event_property_contains', key: 'content.alt_aliases', value }) as JsonObject
  const aliases = (value: unknown) => ({ content: { alt_aliases: value } as JsonObject })
  const some = ['#somewhere:example.org', '#myroom:example.com', 7, null]
  assert.ok(holds(contains('#myroom:example.com'), aliases(some)))
  assert.ok(!holds(contains(':example.com'), aliases(some)))
  assert.ok(holds(contains(7), aliases(some)))
  assert.ok(holds(contains(null), aliases(some)))
  assert.ok(!holds(contains('x'), aliases('x')))
  assert.ok(!holds(contains('x'), { content: {} }))
})

test('room_member_count', () => {
  const cases: [string, number[]][] = [
    ['2', [2]],
    ['==2', [2]],
    ['<2', [0, 1]],
    ['>2', [3, 4]],
    ['>=2', [2, 3, 4]],
    ['<=2', [0, 1, 2]],
    ['=2', []],
    ['2.0', []],
    ['', []],
    ['> 2', []],
  ]
  for (const [is, expected] of cases) {
    const found = [0, 1, 2, 3, 4].filter((memberCount) =>
      holds({ kind: 'room_member_count', is }, {}, { ...facts, memberCount }),
    )
    assert.deepEqual(found, expected, is)
  }
})

test('contains_display_name', () => {
  const condition = { kind: 'contains_display_name' }
  const says = (body: string) => ({ content: { body } })
  assert.ok(holds(condition, says('hi al*ce b., how are you')))
  assert.ok(!holds(condition, says('hi alicebob b., how are you')))
  assert.ok(!holds(condition, says('hi Pal*ce B.')))
})

test('conditions that nobody knows never match', () => {
  assert.ok(!holds({ kind: 'device', profile_tag: 'x' }))
  const changed = rule(noChanges, 'override', 'r', { conditions: [{ kind: 'org.new' }] })
  assert.deepEqual(told({}, changed), ['notify'])
  const both = { conditions: [{ kind: 'org.new' }, { kind: 'room_member_count', is: '3' }] }
  assert.deepEqual(told({}, rule(noChanges, 'override', 'r', { ...both, actions: [] })), ['notify'])
})

test('what many users have in common says nothing of whom an event is about', () => {
  const carol = '@carol:example.org' as UserId
  const known = noKnownRules()
  const ready = (userId: UserId, changed = noChanges) =>
    readyRules(rulesetOf(userId, changed), userId, known)
  const quiet = rule(noChanges, 'room', '!room:example.org', { actions: [] })
  const deaf = rule(noChanges, 'sender', bob, { actions: [] })
  const aboutBob = {
    conditions: [{ kind: 'event_match', key: 'sender', pattern: bob }],
    actions: ['notify', highlight],
  }
  const keen = rule(noChanges, 'override', 'bob', aboutBob)
  const users = {
    alice: ready(alice),
    carol: ready(carol),
    quiet: ready('@quiet:example.org' as UserId, quiet),
    deaf: ready('@deaf:example.org' as UserId, deaf),
    keen: ready('@keen:example.org' as UserId, keen),
  }
  const ask = (given: Partial<ViewedEvent>) => {
    const view = new EventView(event(given), facts)
    return Object.fromEntries(
      Object.entries(users).map(([name, rules]) => {
        const found = notificationFor(rules, view, {
          userId: alice,
          displayName: undefined,
          work: 1_000_000,
        })
        return [name, found?.actions]
      }),
    )
  }
  const loud = ['notify', sound('default'), highlight]
  const plain = ['notify']
  const bobs = { quiet: undefined, deaf: undefined, keen: ['notify', highlight] }
  assert.deepEqual(ask({}), { alice: plain, carol: plain, ...bobs })
  const content = { body: 'Carol', msgtype: 'm.text', 'm.mentions': { user_ids: [carol] } }
  assert.deepEqual(ask({ content }), { alice: plain, carol: loud, ...bobs })
  const others = { sender: '@dan:example.org' as UserId, room_id: '!other:example.org' as RoomId }
  assert.deepEqual(ask({ content, ...others }), {
    alice: plain,
    carol: loud,
    quiet: plain,
    deaf: plain,
    keen: plain,
  })
  const notice = { msgtype: 'm.notice', body: 'Carol', 'm.mentions': { user_ids: [carol] } }
  const told = ask({ content: notice, ...others })
  assert.deepEqual(Object.values(told), [undefined, undefined, undefined, undefined, undefined])
  const invite = { type: 'm.room.member', state_key: alice, content: { membership: 'invite' } }
  const { alice: invited, carol: other } = ask({ ...invite, ...others })
  assert.deepEqual([invited, other], [['notify', sound('default')], undefined])
})

test('threads that are subscribed to, between the rules for contents and for rooms', () => {
  const known = noKnownRules()
  const ask = (subscriptions: [string, boolean][], changed: ChangedRules, given = {}) => {
    const view = new EventView(event(given), facts, new Map(subscriptions))
    const rules = readyRules(rulesetOf(alice, changed), alice, known)
    const recipient = { userId: alice, displayName: undefined, work: 1_000_000 }
    return notificationFor(rules, view, recipient)?.actions
  }
  const quiet = rule(noChanges, 'room', '!room:example.org', { actions: [] })
  const keyword = rule(quiet, 'content', 'event', { pattern: 'event', actions: ['notify'] })
  const silent = rule(noChanges, 'override', 'all', { conditions: [], actions: [] })
  const mention = { content: { body: 'x', 'm.mentions': { user_ids: [alice] } } }
  const subscribed: [string, boolean][] = [[alice, true]]
  const unsubscribed: [string, boolean][] = [[alice, false]]
  const others: [string, boolean][] = [[bob, true]]
  const loud = ['notify', sound('default')]
  // Messages in subscribed threads should always count, whatever the room's settings.
  assert.deepEqual(ask(subscribed, noChanges), loud)
  assert.deepEqual(ask(subscribed, quiet), loud)
  assert.deepEqual(ask(subscribed, silent), undefined)
  // Messages in unsubscribed threads should not, but for mentions.
  assert.equal(ask(unsubscribed, noChanges), undefined)
  assert.deepEqual(ask(unsubscribed, keyword), ['notify'])
  assert.deepEqual(ask(unsubscribed, noChanges, mention), [...loud, highlight])
  // Whoever knows nothing of subscriptions, and whatever is in no thread, is as before.
  assert.deepEqual(ask(others, noChanges), ['notify'])
  assert.equal(ask(others, quiet), undefined)
  assert.deepEqual(ask([], noChanges), ['notify'])
  const off = (id: string) =>
    withChange(noChanges, { userId: alice, kind: 'postcontent', ruleId: id }, { enabled: false })
  assert.deepEqual(ask(unsubscribed, off('.io.element.msc4306.rule.unsubscribed_thread')), [
    'notify',
  ])
  assert.deepEqual(ask(subscribed, off('.io.element.msc4306.rule.subscribed_thread')), ['notify'])
  const own = { conditions: [], actions: [] }
  assert.throws(() => rule(noChanges, 'postcontent', 'mine', own), /postcontent/)
})

test('many costly patterns on a long text do not take for ever', () => {
  let changed = noChanges
  for (let at = 0; at < 300; at++) {
    changed = rule(changed, 'content', `r${at}`, {
      pattern: `*${'a'.repeat(at + 200)}b`,
      actions: [],
    })
  }
  const content = { body: 'a'.repeat(60_000), msgtype: 'm.text' }
  const recipient = { userId: alice, displayName: undefined, work: 4_000_000 }
  const ready = readyRules(rulesetOf(alice, changed), alice, noKnownRules())
  const found = notificationFor(ready, new EventView(event({ content }), facts), recipient)
  assert.deepEqual(found?.actions, ['notify'])
  assert.ok(recipient.work < 0, 'the work was not bounded')
})
