/**
 * Handshakes whose parts do not belong together: sound, signed events that are not what the request is
 * for. Nothing of them may be stored, signed or sent on; and what is right goes through afterwards.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { encodeBase64 } from '../../src/protocol/base64.ts'
import { signingKeyOf } from '../../src/protocol/ed25519.ts'
import type { RoomId, ServerName, UserId } from '../../src/protocol/identifiers/ids.ts'
import type { JsonObject } from '../../src/protocol/json.ts'
import { signJson } from '../../src/protocol/signatures.ts'
import {
  essentialsOf,
  idOf,
  type RawEvent,
  sealed,
  signed,
  textOf,
} from '../scripted-peer/forged-event.ts'
import { listOf } from '../scripted-peer/scripted-peer.ts'
import { rowsOf, type Scene } from './cells.ts'
import { federation, template } from './requests.ts'

interface Handed {
  readonly event: RawEvent
  readonly roomId: string
  /** As the path names it. */
  readonly eventId?: string
}

type Mismatch = readonly [what: string, change: (handed: Handed, scene: Scene) => Handed]

const content = (more: object) => (handed: Handed) => ({
  ...handed,
  event: { ...handed.event, content: { ...(handed.event.content as object), ...more } },
})
const fields = (more: (scene: Scene) => object) => (handed: Handed, scene: Scene) => ({
  ...handed,
  event: { ...handed.event, ...more(scene) },
})

const mismatches: readonly Mismatch[] = [
  ['another room in the path', (handed, { forge }) => ({ ...handed, roomId: forge.otherRoom })],
  ['another room in the event', fields(({ forge }) => ({ room_id: forge.otherRoom }))],
  [
    'another event in the path',
    (handed, { version, peer }) => ({
      ...handed,
      eventId: version.eventId === 'in-event' ? `$other:${peer.name}` : `$${'A'.repeat(43)}`,
    }),
  ],
  ['another type', fields(() => ({ type: 'm.room.power_levels' }))],
  ['a type in capitals', fields(() => ({ type: 'M.ROOM.MEMBER' }))],
  ['another membership', content({ membership: 'ban' })],
  ['no membership', content({ membership: undefined })],
  ['a list of memberships', content({ membership: ['join', 'leave', 'knock', 'invite'] })],
  ['no state key', fields(() => ({ state_key: undefined }))],
  ['an empty state key', fields(() => ({ state_key: '' }))],
  ['another user as its subject', fields(({ peer }) => ({ state_key: peer.user('other') }))],
  [
    'a sender of another server',
    fields(({ forge }) => ({ sender: `@x:${forge.other.serverName}` })),
  ],
  [
    'a sender and a subject of another server',
    fields(({ forge }) => ({
      sender: `@x:${forge.other.serverName}`,
      state_key: `@x:${forge.other.serverName}`,
    })),
  ],
  ['a user of ours', fields(({ a }) => ({ sender: a.user('alice'), state_key: a.user('alice') }))],
]

/** Signed by all who could be meant, so that it is not for want of a signature that it is refused. */
function sealedByAll({ version, peer, forge }: Scene, event: RawEvent): RawEvent {
  const ours = sealed(version, event, peer.signer)
  return signed(ours, forge.other, essentialsOf(version, ours))
}

/** /send_join, /send_leave, /send_knock and /invite, each with what does not belong to it. */
export async function withMismatches(scene: Scene): Promise<unknown[]> {
  const { a, peer, version, count } = scene
  const cells: unknown[] = []
  const rules = { join_rule: version.knocking ? 'knock' : 'public' }
  const knocking = await a.createRoom(a.user('alice'), version, { joinRules: rules })
  const roomId = await a.createRoom(a.user('alice'), version)
  const [first, second] = [peer.user('leaver1'), peer.user('leaver2')]
  for (const user of [first, second]) await peer.setMembership(a.name, roomId, user, 'join')
  const invites = peer.createRoom(version, { tag: `room${count()}` })
  const invited = { stateKey: a.user('invited') }
  const membership = { membership: 'invite' }
  const handshakes: [operation: string, api: string, roomId: RoomId, event: RawEvent][] = [
    ['send_join', 'v1', roomId, await template(scene, 'make_join', roomId, peer.user('joiner'))],
    ['send_join', 'v2', roomId, await template(scene, 'make_join', roomId, peer.user('joiner'))],
    ['send_leave', 'v1', roomId, await template(scene, 'make_leave', roomId, first)],
    ['send_leave', 'v2', roomId, await template(scene, 'make_leave', roomId, second)],
    [
      'invite',
      'v2',
      invites.roomId,
      invites.draft(peer.user('u'), 'm.room.member', membership, invited),
    ],
  ]
  if (version.knocking) {
    const knock = await template(scene, 'make_knock', knocking, peer.user('knocker'))
    handshakes.push(['send_knock', 'v1', knocking, knock])
  }
  const create = invites.state().filter(({ type }) => type === 'm.room.create')
  for (const [operation, api, room, event] of handshakes) {
    const hand = async ({ event, roomId, eventId }: Handed) => {
      const named = version.eventId === 'in-event' ? { event_id: `$m${count()}:${peer.name}` } : {}
      const whole = sealedByAll(scene, { ...event, ...named })
      const target = federation(api, operation, roomId, eventId ?? idOf(version, whole))
      const body = `{"event":${textOf(whole)},"invite_room_state":${listOf(create)},"room_version":"${version.id}"}`
      return await peer.request(
        a.name,
        'PUT',
        target,
        operation === 'invite' ? body : textOf(whole),
      )
    }
    const before = await rowsOf(a.life.db)
    const signedBefore = a.signed.length
    const label = `version ${version.id}, ${operation} ${api}`
    for (const [what, change] of mismatches) {
      // An invite is about somebody else than its sender, always.
      const changed = change({ event, roomId: room }, scene)
      const { status, body } = await hand(changed)
      assert.ok(status === 400 || status === 404, `${label}: ${what}: ${status} ${body.errcode}`)
      cells.push(what)
    }
    assert.deepEqual(eventsIn(await rowsOf(a.life.db)), eventsIn(before), label)
    assert.deepEqual(eventsSigned(a.signed.slice(signedBefore)), [], label)
    const { status, text } = await hand({ event, roomId: room })
    assert.equal(status, 200, `${label}: ${text}`)
  }
  assert.deepEqual(a.errors, [])
  return cells
}

/** All but what is remembered of servers and their keys. */
function eventsIn(rows: ReadonlyMap<string, string>): Record<string, string | undefined> {
  const tables = ['events', 'local_memberships', 'staged_pdus', 'outbox', 'rooms', 'current_states']
  return Object.fromEntries(tables.map((table) => [table, rows.get(table)]))
}

function eventsSigned(messages: readonly string[]): string[] {
  return messages.filter((text) => !/"uri":|"verify_keys":/.test(text))
}

type Invitation = {
  readonly event: JsonObject
  readonly signed: JsonObject
  readonly scene: Scene
}

const inSigned = (more: object) => (invitation: Invitation) => ({ ...invitation.signed, ...more })

/** What can be wrong with what an identity server is said to have signed. */
const wrongSignatures: readonly (readonly [string, (invitation: Invitation) => unknown])[] = [
  ['missing', () => undefined],
  ['null', () => null],
  ['a text', () => 'x'],
  ['empty', () => ({})],
  ['without signatures', inSigned({ signatures: undefined })],
  ['with signatures that are none', inSigned({ signatures: [] })],
  ['with a signature of nobody', inSigned({ signatures: {} })],
  ['with an empty signature', inSigned({ signatures: { 'is.test': { 'ed25519:0': '' } } })],
  [
    'with a signature by another key',
    ({ signed: { signatures: _signatures, ...rest }, scene }) =>
      signJson(rest as JsonObject, { ...scene.forge.other, serverName: 'is.test' as ServerName }),
  ],
  ['for another user', inSigned({ mxid: '@other:p.test:8448' })],
  ['for no user', inSigned({ mxid: undefined })],
  ['with another token', inSigned({ token: 'other' })],
  ['without a token', inSigned({ token: undefined })],
  ['with a token that is no text', inSigned({ token: ['token'] })],
  ['with more than was signed', inSigned({ more: 1 })],
]

/** What can be wrong with the rest of it. */
const wrongExchanges: readonly (readonly [string, (invitation: Invitation) => JsonObject])[] = [
  ['another room', ({ event, scene }) => ({ ...event, room_id: scene.forge.otherRoom })],
  ['another type', ({ event }) => ({ ...event, type: 'm.room.power_levels' })],
  ['another sender', ({ event, scene }) => ({ ...event, sender: scene.peer.user('u') })],
  [
    'a sender of ours who did not invite',
    ({ event, scene }) => ({ ...event, sender: scene.a.user('x') }),
  ],
  ['another user', ({ event, scene }) => ({ ...event, state_key: scene.peer.user('other') })],
  ['no state key', ({ event: { state_key: _key, ...event } }) => event],
  [
    'another membership',
    ({ event }) => ({
      ...event,
      content: { ...(event.content as JsonObject), membership: 'join' },
    }),
  ],
  ['no content', ({ event: { content: _content, ...event } }) => event],
]

/** PUT /exchange_third_party_invite: the invite is built here, or not at all. */
export async function byExchange(scene: Scene): Promise<unknown[]> {
  const { a, peer, version, world } = scene
  const [alice, target] = [a.user('alice'), peer.user('invited') as UserId]
  const roomId = await a.createRoom(alice, version)
  const identity = signingKeyOf(new Uint8Array(32).fill(7))
  const public_key = encodeBase64(identity.publicKey)
  await a.send(roomId, {
    sender: alice,
    type: 'm.room.third_party_invite',
    state_key: 'token',
    content: {
      display_name: 'x',
      public_key,
      public_keys: [{ public_key }],
      key_validity_url: 'https://is.test/',
    },
  })
  const signer = { serverName: 'is.test' as ServerName, keyId: 'ed25519:0', ...identity }
  const signedPart = signJson({ mxid: target, token: 'token' }, signer)
  const event: JsonObject = {
    type: 'm.room.member',
    room_id: roomId,
    sender: alice,
    state_key: target,
    content: {
      membership: 'invite',
      third_party_invite: { display_name: 'x', signed: signedPart },
    },
  }
  const invitation = { event, signed: signedPart, scene }
  const before = await a.stateOf(roomId)
  const exchange = async (body: JsonObject) =>
    await peer.request(
      a.name,
      'PUT',
      federation('v1', 'exchange_third_party_invite', roomId),
      textOf(body),
    )
  const bodies: (readonly [string, JsonObject])[] = [
    ...wrongExchanges.map(([what, change]) => [what, change(invitation)] as const),
    ...wrongSignatures.map(([what, change]) => {
      const third_party_invite = { display_name: 'x', signed: change(invitation) as JsonObject }
      return [what, { ...event, content: { membership: 'invite', third_party_invite } }] as const
    }),
  ]
  for (const [what, body] of bodies) {
    const { status, body: answer } = await exchange(body)
    const label = `version ${version.id}, exchange: ${what}: ${status} ${answer.errcode}`
    assert.ok(status === 400 || status === 403, label)
  }
  assert.deepEqual(await a.stateOf(roomId), before)
  assert.equal((await exchange(event)).status, 200)
  await world.settle(1000)
  assert.equal(await a.membershipIn(roomId, target), 'invite')
  assert.deepEqual(a.errors, [])
  return bodies
}
