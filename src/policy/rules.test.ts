import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject } from '#protocol/json.ts'
import type { Pdu } from '#protocol/pdu.ts'
import { objectionTo, type PolicyRules } from './rules.ts'

const none: PolicyRules = {
  deniedServers: [],
  deniedUsers: [],
  deniedEventTypes: [],
  deniedMessageTypes: [],
  deniedWords: [],
  eventBytesMax: null,
  mentionsMax: null,
  clockSkewMaxMs: null,
  exemptPowerLevel: null,
}

const message = { msgtype: 'm.text', body: 'Buy CHEAP things' }

function event(content: JsonObject, more: Partial<Pdu> = {}): Pdu {
  const sender = '@a:bad.example.org'
  const bytes = new Uint8Array(500)
  return { sender, type: 'm.room.message', content, bytes, origin_server_ts: 1000, ...more } as Pdu
}

const leaving = { type: 'm.room.member', state_key: '@a:bad.example.org' } as const

// Rules, an event, and whether it is refused.
const cases: readonly [string, Partial<PolicyRules>, Pdu, boolean][] = [
  ['nothing', {}, event(message), false],
  ['the server', { deniedServers: ['*.example.org'] }, event(message), true],
  ['another server', { deniedServers: ['example.org'] }, event(message), false],
  ['the user', { deniedUsers: ['@a:*'] }, event(message), true],
  ['another user', { deniedUsers: ['@b:*'] }, event(message), false],
  ['the type', { deniedEventTypes: ['m.room.mess*'] }, event(message), true],
  ['another type', { deniedEventTypes: ['m.sticker'] }, event(message), false],
  ['the type of message', { deniedMessageTypes: ['m.text'] }, event(message), true],
  ['a word', { deniedWords: ['cheap'] }, event(message), true],
  ['no such word', { deniedWords: ['dear'] }, event(message), false],
  ['a word in HTML', { deniedWords: ['CHEAP'] }, event({ formatted_body: '<b>cheap</b>' }), true],
  ['a word in an edit', { deniedWords: ['cheap'] }, event({ 'm.new_content': message }), true],
  ['a word in a list', { deniedWords: ['cheap'] }, event({ x: [[{ y: 'cheap' }]] }), true],
  ['the size', { eventBytesMax: 499 }, event(message), true],
  ['a fitting size', { eventBytesMax: 500 }, event(message), false],
  ['mentions', { mentionsMax: 1 }, event({ 'm.mentions': { user_ids: ['@a:b', '@b:b'] } }), true],
  ['few mentions', { mentionsMax: 1 }, event({ 'm.mentions': { user_ids: ['@a:b'] } }), false],
  ['no mentions', { mentionsMax: 0 }, event({ 'm.mentions': { room: true } }), false],
  ['an old event', { clockSkewMaxMs: 8_999 }, event(message), true],
  ['an event of now', { clockSkewMaxMs: 9_000 }, event(message), false],
  [
    'an event of the future',
    { clockSkewMaxMs: 9_000 },
    event(message, { origin_server_ts: 1e6 }),
    true,
  ],
  ['power', { deniedUsers: ['*'], exemptPowerLevel: 50 }, event(message), false],
  ['too little power', { deniedUsers: ['*'], exemptPowerLevel: 51 }, event(message), true],
  ['leaving', { deniedUsers: ['*'] }, event({ membership: 'leave' }, leaving), false],
  ['joining', { deniedUsers: ['*'] }, event({ membership: 'join' }, leaving), true],
]

for (const [name, rules, pdu, isRefused] of cases) {
  test(`by ${name} an event is refused: ${isRefused}`, () => {
    const context = { now: 10_000, senderLevel: 50 }
    assert.equal(objectionTo(pdu, { ...none, ...rules }, context) !== undefined, isRefused)
  })
}

test('a text of another depth than any client makes is not looked for', () => {
  let content: JsonObject = { body: 'cheap' }
  for (let depth = 0; depth < 60; depth += 1) content = { content }
  const rules = { ...none, deniedWords: ['cheap'] }
  assert.equal(objectionTo(event(content), rules, { now: 0, senderLevel: 0 }), undefined)
})
