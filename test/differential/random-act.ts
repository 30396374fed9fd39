/**
 * What somebody in a room does next.
 *
 * @module
 */

import { signingKeyOf } from '#protocol/ed25519.ts'
import type { UserId } from '#protocol/identifiers/ids.ts'
import { isJsonObject, type Json, type JsonObject } from '#protocol/json.ts'
import type { RoomVersion } from '#protocol/room-version.ts'
import { signJson } from '#protocol/signatures.ts'
import type { SeededRandom } from '../../src/io/simulated/simulated-random.ts'
import type { State } from './random-room.ts'

export interface Draft {
  readonly type: string
  readonly sender: UserId
  readonly state_key?: string
  readonly content: JsonObject
  readonly ts?: number
  readonly redacts?: number
}

export const users = ['@alice:a', '@bob:b', '@carol:c', '@dave:a', '@eve:e'] as const

/** The identity server that vouches for third-party invites. */
const identityKey = signingKeyOf(Buffer.alloc(32, 7))
const otherKey = signingKeyOf(Buffer.alloc(32, 8))

type Act = (
  version: RoomVersion,
  state: State,
  dice: SeededRandom,
) => Omit<Draft, 'sender'> & { sender?: UserId }

/** A random act of a random user. Mischief is malformed on purpose. */
export function randomAct(
  version: RoomVersion,
  state: State,
  dice: SeededRandom,
  isMischief: boolean,
): Draft {
  const act = isMischief ? dice.pick(mischief) : dice.pick(acts)
  const draft = { sender: someone(state, dice), ...act(version, state, dice) }
  // Times go back and forth, and are often the same.
  return dice.happens(0.5) ? { ...draft, ts: dice.below(6) } : draft
}

/** More often somebody who is in the room. */
function someone(state: State, dice: SeededRandom): UserId {
  const joined = users.filter((user) => membership(state, user) === 'join')
  return joined.length > 0 && dice.happens(0.85) ? dice.pick(joined) : dice.pick(users)
}

function membership(state: State, user: string): Json | undefined {
  return state.get(`m.room.member|${user}`)?.content.membership
}

function member(target: string, content: JsonObject): Omit<Draft, 'sender'> {
  return { type: 'm.room.member', state_key: target, content }
}

const join: Act = (version, state, dice) => {
  const user = dice.pick(users)
  const authoriser = version.restrictedJoins && dice.happens(0.4)
  const via = authoriser ? { join_authorised_via_users_server: someone(state, dice) } : {}
  return { ...member(user, { membership: 'join', ...via }), sender: user }
}

const leave: Act = (_version, _state, dice) => {
  const user = dice.pick(users)
  return { ...member(user, { membership: 'leave' }), sender: user }
}

const knock: Act = (_version, _state, dice) => {
  const user = dice.pick(users)
  return { ...member(user, { membership: 'knock' }), sender: user }
}

const invite: Act = (_version, _state, dice) => member(dice.pick(users), { membership: 'invite' })
const kick: Act = (_version, _state, dice) => member(dice.pick(users), { membership: 'leave' })
const ban: Act = (_version, _state, dice) => member(dice.pick(users), { membership: 'ban' })

const joinRules: Act = (_version, _state, dice) => ({
  type: 'm.room.join_rules',
  state_key: '',
  content: {
    join_rule: dice.pick([
      'public',
      'invite',
      'knock',
      'restricted',
      'knock_restricted',
      'private',
    ]),
  },
})

const topic: Act = (_version, _state, dice) => ({
  type: dice.pick(['m.room.topic', 'm.room.name', 'm.room.history_visibility']),
  state_key: '',
  content: { text: `${dice.below(1000)}` },
})

const message: Act = () => ({ type: 'm.room.message', content: { body: 'hello' } })

const redaction: Act = (_version, _state, dice) => ({
  type: 'm.room.redaction',
  content: {},
  redacts: 1 + dice.below(20),
})

const ownState: Act = (_version, state, dice) => {
  const sender = someone(state, dice)
  const state_key = dice.pick([sender, ...users, 'plain', 'a', 'b'])
  return { type: dice.pick(['org.example', 'm.room.aliases']), state_key, sender, content: {} }
}

/** The power levels as they are, but for one change. */
const powerLevels: Act = (version, state, dice) => {
  const current = state.get('m.room.power_levels|')?.content ?? {}
  const level = dice.pick([-10, 0, 10, 25, 49, 50, 51, 75, 99, 100, 101])
  const value: Json =
    !version.integerPowerLevels && dice.happens(0.15) ? ` +0${Math.abs(level)} ` : level
  const table = dice.pick(['users', 'users', 'users', 'users', 'events', 'notifications', ''])
  const names = [
    'users_default',
    'events_default',
    'state_default',
    'ban',
    'redact',
    'kick',
    'invite',
  ]
  const keys: Record<string, readonly string[]> = {
    users,
    events: [
      'm.room.topic',
      'm.room.power_levels',
      'm.room.message',
      'm.room.member',
      'm.room.redaction',
    ],
    notifications: ['room'],
    '': names,
  }
  const key = dice.pick(keys[table] ?? names)
  const change = (entries: JsonObject): JsonObject => {
    const { [key]: _gone, ...rest } = entries
    return dice.happens(0.2) ? rest : { ...rest, [key]: value }
  }
  const before = current[table]
  const content =
    table === ''
      ? change(current)
      : { ...current, [table]: change(isJsonObject(before) ? before : {}) }
  return { type: 'm.room.power_levels', state_key: '', content }
}

const thirdPartyInvite: Act = (_version, _state, dice) => {
  const text = (key: Uint8Array, alphabet: 'base64' | 'base64url') =>
    Buffer.from(key).toString(alphabet).replace(/=+$/, '')
  const key = text(identityKey.publicKey, dice.pick(['base64', 'base64url']))
  const other = text(otherKey.publicKey, 'base64')
  return {
    type: 'm.room.third_party_invite',
    state_key: dice.pick(['token1', 'token2']),
    content: dice.pick<JsonObject>([
      { public_key: key },
      { public_key: other, public_keys: [{ public_key: key }] },
      { public_keys: [{ public_key: other }] },
    ]),
  }
}

const thirdPartyInvited: Act = (_version, state, dice) => {
  const target = dice.pick(users)
  const token = dice.pick(['token1', 'token2'])
  const sender = state.get(`m.room.third_party_invite|${token}`)?.sender ?? dice.pick(users)
  const signer = { serverName: 'id.example', keyId: 'ed25519:0', sign: identityKey.sign }
  const mxid = dice.happens(0.9) ? target : dice.pick(users)
  const signed = signJson({ mxid, token }, signer as never)
  return {
    ...member(target, { membership: 'invite', third_party_invite: { display_name: 'x', signed } }),
    sender: dice.happens(0.9) ? sender : dice.pick(users),
  }
}

const acts: readonly Act[] = [
  ...[join, join, join, join, join, join],
  ...[leave, knock, invite, invite, kick, kick, ban, ban, ban],
  ...[powerLevels, powerLevels, powerLevels, powerLevels, powerLevels, powerLevels],
  ...[joinRules, joinRules, topic, topic, topic, message, redaction, ownState],
  ...[thirdPartyInvite, thirdPartyInvited],
]

/** Values that no property here may have, but for the odd one in old versions. */
function oddValue(version: RoomVersion, dice: SeededRandom): Json {
  const floats = version.strictCanonicalJson ? [] : ['50.9', '50.0', '-3.5', '9007199254740993']
  return dice.pick<Json>([
    ...[
      null,
      true,
      false,
      [],
      {},
      [50],
      'x',
      '',
      '50',
      ' 50\n',
      '-50',
      '5_0',
      '0x10',
      '1e2',
      '50.0',
    ],
    ...['\u0665\u0660', '\u00a050', '++1', 50, 9007199254740991, '9007199254740993'],
    ...floats.map((text) => JSON.rawJSON(text)),
  ])
}

const oddPowerLevels: Act = (version, state, dice) => {
  const current = state.get('m.room.power_levels|')?.content ?? {}
  const odd = oddValue(version, dice)
  const content = dice.pick<JsonObject>([
    { ...current, [dice.pick(['ban', 'users_default', 'state_default', 'invite'])]: odd },
    { ...current, users: { ...tableOf(current, 'users'), [dice.pick(users)]: odd } },
    {
      ...current,
      users: { ...tableOf(current, 'users'), [dice.pick(['nobody', '@x', '@:b'])]: 0 },
    },
    { ...current, events: { ...tableOf(current, 'events'), 'm.room.topic': odd } },
    { ...current, [dice.pick(['users', 'events', 'notifications'])]: odd },
  ])
  return { type: 'm.room.power_levels', state_key: dice.happens(0.9) ? '' : 'odd', content }
}

function tableOf(content: JsonObject, table: string): JsonObject {
  const entries = content[table]
  return isJsonObject(entries) ? entries : {}
}

const mischief: readonly Act[] = [
  oddPowerLevels,
  oddPowerLevels,
  oddPowerLevels,
  (version, _state, dice) => ({
    type: 'm.room.join_rules',
    state_key: dice.happens(0.8) ? '' : 'odd',
    content: dice.happens(0.5) ? {} : { join_rule: oddValue(version, dice) },
  }),
  (version, _state, dice) =>
    member(dice.pick(users), { membership: dice.pick([oddValue(version, dice), 'dance', 'join']) }),
  (_version, _state, dice) => member(dice.pick(users), {}),
  (_version, _state, dice) => ({
    type: 'm.room.member',
    content: { membership: dice.pick(['join', 'ban']) },
  }),
  (_version, _state, dice) =>
    member(dice.pick(['', 'nobody', '@x', 'x:y', '@a:b:c']), { membership: 'ban' }),
  (version, _state, dice) => {
    const user = dice.pick(users)
    const via = dice.pick<Json>([oddValue(version, dice), '@nobody:x', user])
    return {
      ...member(user, { membership: 'join', join_authorised_via_users_server: via }),
      sender: user,
    }
  },
  (version, _state, dice) => {
    const signed = dice.pick<Json>([
      oddValue(version, dice),
      { mxid: users[1], token: 'token1' },
      { token: 'token1', signatures: {} },
      { mxid: users[1], token: 'token1', signatures: { a: { 'ed25519:0': 'AAAA' } } },
    ])
    const third_party_invite = dice.pick<Json>([
      oddValue(version, dice),
      { signed },
      { signed },
      { signed },
    ])
    return member(users[1], { membership: 'invite', third_party_invite })
  },
  (version, _state, dice) => ({
    type: 'm.room.third_party_invite',
    state_key: 'token1',
    content: { public_key: oddValue(version, dice), public_keys: oddValue(version, dice) },
  }),
  (_version, _state, dice) => ({
    type: 'm.room.create',
    state_key: dice.pick(['', 'odd']),
    content: { creator: dice.pick(users) },
  }),
  (_version, _state, dice) => ({
    type: 'm.room.aliases',
    content: {},
    ...(dice.happens(0.5) ? { state_key: '' } : {}),
  }),
  (_version, _state, dice) => ({
    type: dice.pick(['m.room.power_levels', 'm.room.join_rules']),
    content: {},
  }),
  (_version, _state, dice) => ({
    type: 'm.room.redaction',
    content: { redacts: dice.pick([null, 'x', '$x:a']) },
  }),
]
