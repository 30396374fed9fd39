/**
 * What can be wrong with an event, as data: each entry makes one from an event that is in order, and
 * says what must become of it. Those that are in order after all are here too: what takes nothing in
 * would pass all the others.
 *
 * @module
 */

import type { EventId, RoomId, ServerName } from '../../src/protocol/identifiers/ids.ts'
import { type RoomVersion, roomVersions } from '../../src/protocol/room-version.ts'
import type { JsonSigner } from '../../src/protocol/signatures.ts'
import {
  essentialsOf,
  hashed,
  type RawEvent,
  sealed,
  signed,
  textOf,
  withSignature,
} from '../scripted-peer/forged-event.ts'

/**
 * - `dropped`: nothing of it is stored.
 * - `redacted`: the event is stored without what its content hash does not cover.
 * - `rejected`: it is in no timeline and no state, whether it is kept or not.
 * - `accepted`: it is in order.
 */
export type Fate = 'dropped' | 'redacted' | 'rejected' | 'accepted'

/** Who can sign. */
export interface Forge {
  readonly version: RoomVersion
  /** The server of the event's sender. */
  readonly signer: JsonSigner
  /** A key of the same server, which it used until an hour ago. */
  readonly old: JsonSigner
  /** The same server and key ID with another key. */
  readonly impostor: JsonSigner
  /** Another server, whose keys can be had. */
  readonly other: JsonSigner
  /** A room that is not this one. */
  readonly otherRoom: RoomId
}

export interface Malformation {
  readonly name: string
  /** The versions of which it is told; all if it is absent. */
  readonly in?: ((version: RoomVersion) => boolean) | undefined
  /** `dropped` if it is absent. */
  readonly fate?: Fate | ((version: RoomVersion) => Fate) | undefined
  /** Of events that come by `/send` or a handshake only: history is taken as it is. */
  readonly ofNewEvents?: boolean | undefined
  /** Leaves no room for a signature more. */
  readonly isFull?: boolean | undefined
  /** The text that is sent instead of the event. */
  readonly make: (event: RawEvent, forge: Forge) => string
}

type Options = Pick<Malformation, 'in' | 'fate' | 'ofNewEvents' | 'isFull'>
type Change = (event: RawEvent, forge: Forge) => RawEvent

/** Rightly hashed and signed, but of an event that is none. */
const before = (name: string, change: Change, options: Options = {}): Malformation => ({
  name,
  ...options,
  make: (event, forge) => textOf(sealed(forge.version, change(event, forge), forge.signer)),
})

/** Changed after it was hashed and signed. */
const after = (name: string, change: Change, options: Options = {}): Malformation => ({
  name,
  ...options,
  make: (event, forge) => textOf(change(sealed(forge.version, event, forge.signer), forge)),
})

/** Of a sound event, another text. */
const text = (
  name: string,
  change: (text: string) => string,
  options: Options = {},
): Malformation => ({
  name,
  ...options,
  make: (event, forge) => change(textOf(sealed(forge.version, event, forge.signer))),
})

/** The event with other signatures than it should have. */
const signatures = (
  name: string,
  sign: (event: RawEvent, forge: Forge) => RawEvent,
  options: Options = {},
): Malformation => ({
  name: `signatures: ${name}`,
  ...options,
  make: (event, forge) => textOf(sign(hashed(event), forge)),
})

const set = (name: string, value: unknown): Change => {
  return (event) => ({ ...event, [name]: value })
}
const setContent = (content: object): Change => {
  return (event) => ({ ...event, content: { ...(event.content as object), ...content } })
}
const raw = (number: string) => JSON.rawJSON(number)

const isStrict: Options = { in: (version) => version.strictCanonicalJson }
const redacted: Options = { fate: 'redacted' }
const accepted: Options = { fate: 'accepted' }
const rejected: Options = { fate: 'rejected' }
/** Numbers that canonical JSON has not; before version 6 events may have them. */
const untilV6: Options = {
  fate: (version) => (version.strictCanonicalJson ? 'dropped' : 'accepted'),
}
/** Since version 5 a signature counts only if the key was valid at the event's time. */
const whereKeysExpire: Options = {
  fate: (version) => (version.signingKeyValidity ? 'dropped' : 'accepted'),
}
const inEventId: Options = { in: (version) => version.eventId === 'in-event' }

/** The right signature, of another kind than it must be. */
const rightSignature = (
  change: (signature: string) => unknown,
  { keyId }: { keyId?: string } = {},
): Change => {
  return (event, { version, signer }) => {
    const { signatures: all } = signed(event, signer, essentialsOf(version, event)) as {
      signatures: Record<string, Record<string, string>>
    }
    const signature = all[signer.serverName]?.[signer.keyId] ?? ''
    const by = { ...signer, keyId: keyId ?? signer.keyId }
    return withSignature(event, by, change(signature))
  }
}

const bytesOf = (signature: string) => Buffer.from(signature, 'base64')
const unpadded = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64').replace(/=+$/, '')

const ofSignatures: readonly Malformation[] = [
  signatures('none at all', (event) => event),
  signatures('null', set('signatures', null)),
  signatures('a list', set('signatures', [])),
  signatures('a text', set('signatures', 'x')),
  signatures('of nobody', set('signatures', {})),
  signatures('of the server, and none', (event, { signer }) => ({
    ...event,
    signatures: { [signer.serverName]: {} },
  })),
  signatures('of the server, a list', (event, { signer }) => ({
    ...event,
    signatures: { [signer.serverName]: [] },
  })),
  signatures('by another key', (event, { version, impostor }) =>
    signed(event, impostor, essentialsOf(version, event)),
  ),
  signatures('by a key that nobody knows', (event, { version, impostor }) =>
    signed(event, { ...impostor, keyId: 'ed25519:unknown' }, essentialsOf(version, event)),
  ),
  signatures('of another server only', (event, { version, other }) =>
    signed(event, other, essentialsOf(version, event)),
  ),
  signatures('by another server in its name', (event, { version, other, signer }) =>
    signed(
      event,
      { ...other, serverName: signer.serverName, keyId: signer.keyId },
      essentialsOf(version, event),
    ),
  ),
  signatures('over the whole event', (event, { signer }) => signed(event, signer, textOf(event))),
  signatures('over another version’s redaction', (event, { version, signer }) =>
    signed(event, signer, essentialsOf(otherRedaction(version), event)),
  ),
  signatures('over the event without its hashes', (event, { version, signer }) => {
    const { hashes: _hashes, ...rest } = event
    return signed(event, signer, essentialsOf(version, rest))
  }),
  signatures('over nothing', (event, { signer }) => signed(event, signer, '')),
  signatures(
    'one bit wrong',
    rightSignature((signature) => {
      const bytes = bytesOf(signature)
      bytes[7] = (bytes[7] ?? 0) ^ 1
      return unpadded(bytes)
    }),
  ),
  signatures(
    'a byte short',
    rightSignature((signature) => unpadded(bytesOf(signature).subarray(0, 63))),
  ),
  signatures(
    'a byte more',
    rightSignature((signature) => unpadded(Buffer.concat([bytesOf(signature), Buffer.from('x')]))),
  ),
  signatures(
    'with characters between',
    rightSignature((signature) => `${signature.slice(0, 20)} \n${signature.slice(20)}`),
  ),
  signatures(
    'empty',
    rightSignature(() => ''),
  ),
  signatures(
    'a number',
    rightSignature(() => 7),
  ),
  signatures(
    'an object',
    rightSignature((signature) => ({ signature })),
  ),
  signatures(
    'of another algorithm',
    rightSignature((signature) => signature, { keyId: 'rsa:1' }),
  ),
  signatures(
    'of a key without an algorithm',
    rightSignature((signature) => signature, { keyId: '1' }),
  ),
  signatures(
    'by a key that had expired',
    (event, { version, old }) => signed(event, old, essentialsOf(version, event)),
    whereKeysExpire,
  ),
  signatures(
    'by a key that was good then',
    (event, { version, old }) => {
      const then = hashed({
        ...event,
        origin_server_ts: Number(event.origin_server_ts) - 7_200_000,
      })
      return signed(then, old, essentialsOf(version, then))
    },
    accepted,
  ),
  before(
    'signatures: of a time for which no key is known to be good',
    (event) => ({ ...event, origin_server_ts: Number(event.origin_server_ts) + 8 * 86_400_000 }),
    whereKeysExpire,
  ),
  signatures(
    'with padding',
    rightSignature((signature) => `${signature}==`),
    accepted,
  ),
  after(
    'signatures: of somebody else beside it',
    (event) =>
      withSignature(event, { serverName: 'x.test' as ServerName, keyId: 'ed25519:x' }, 'AAAA'),
    accepted,
  ),
]

function otherRedaction(version: RoomVersion): RoomVersion {
  const id = version.redaction.keepsOriginMembershipPrevState ? '11' : '10'
  return { ...version, redaction: (roomVersions.get(id) ?? version).redaction }
}

const withHashes = (name: string, hashes: unknown, options: Options = {}): Malformation => ({
  name: `hashes: ${name}`,
  ...options,
  make: (event, { version, signer }) => {
    const changed = { ...event, hashes }
    return textOf(signed(changed, signer, essentialsOf(version, changed)))
  },
})

const hashes: readonly Malformation[] = [
  withHashes('none', undefined),
  withHashes('null', null),
  withHashes('a list', []),
  withHashes('of another kind only', { md5: 'x' }),
  withHashes('a number', { sha256: 7 }),
  withHashes('of something else', { sha256: 'A'.repeat(43) }, redacted),
  withHashes('that is none', { sha256: '!' }, redacted),
]

const changedAfterwards: readonly Malformation[] = [
  after('content changed', setContent({ more: 1 }), redacted),
  after('a member added', set('extra', 1), redacted),
  after('origin changed', set('origin', 'x.test'), {
    fate: (version) => (version.redaction.keepsOriginMembershipPrevState ? 'dropped' : 'redacted'),
  }),
  after('content and its hash changed', (event) => {
    const { signatures: kept, ...rest } = setContent({ more: 1 })(event, undefined as never)
    return { ...hashed(rest), signatures: kept }
  }),
  after('depth changed', (event) => ({ ...event, depth: Number(event.depth) + 1 })),
  after('origin_server_ts changed', (event) => ({
    ...event,
    origin_server_ts: Number(event.origin_server_ts) + 1,
  })),
  after('prev_events changed', (event, { version }) => ({
    ...event,
    prev_events: [referenceTo(version, `$${'A'.repeat(43)}`)],
  })),
  after('auth_events changed', (event) => ({
    ...event,
    auth_events: (event.auth_events as unknown[]).slice(1),
  })),
  after('sender changed', (event, { signer }) => ({ ...event, sender: `@x:${signer.serverName}` })),
  after('type changed', (event) => ({ ...event, type: `${String(event.type)}x` })),
  after('state_key changed', (event, { signer }) => ({
    ...event,
    state_key: `@x:${signer.serverName}`,
  })),
  after('room_id changed', (event, { otherRoom }) => ({ ...event, room_id: otherRoom })),
  after('event_id changed', set('event_id', '$other:p.test:8448'), inEventId),
]

function referenceTo(version: RoomVersion, eventId: EventId): unknown {
  return version.referencesHaveHashes ? [eventId, { sha256: 'A'.repeat(43) }] : eventId
}

const notTexts: readonly [string, unknown][] = [
  ['missing', undefined],
  ['null', null],
  ['a number', 7],
  ['a list', ['x']],
]

const ofNames: readonly Malformation[] = [
  ...notTexts.flatMap(([what, value]) => [
    before(`type: ${what}`, set('type', value)),
    before(`sender: ${what}`, set('sender', value)),
    before(`room_id: ${what}`, set('room_id', value)),
  ]),
  ...notTexts
    .slice(1)
    .map(([what, value]) => before(`state_key: ${what}`, set('state_key', value))),
  before('type: 256 bytes', set('type', 'x'.repeat(256))),
  before('type: 128 letters of two bytes', set('type', 'é'.repeat(128))),
  before('type: with NUL', set('type', 'c.\0')),
  before('type: half a surrogate pair', set('type', 'c.\ud800')),
  before('state_key: 256 bytes', set('state_key', 'x'.repeat(256))),
  before('state_key: with NUL', set('state_key', '\0')),
  before('sender: of another server', (event, { other }) => ({
    ...event,
    sender: `@u:${other.serverName}`,
  })),
  before('sender: without a sigil', (event, { signer }) => ({
    ...event,
    sender: `u:${signer.serverName}`,
  })),
  before('sender: without a server', set('sender', '@u')),
  before('sender: with NUL', (event, { signer }) => ({
    ...event,
    sender: `@u\0:${signer.serverName}`,
  })),
  before('sender: 256 bytes', (event, { signer }) => ({
    ...event,
    sender: `@${'u'.repeat(254 - signer.serverName.length)}:${signer.serverName}`,
  })),
  before('sender: half a surrogate pair', (event, { signer }) => ({
    ...event,
    sender: `@u\udc00:${signer.serverName}`,
  })),
  before('room_id: without a sigil', set('room_id', 'room:p.test')),
  before('room_id: 256 bytes', set('room_id', `!${'r'.repeat(249)}:p.tst`)),
  before('room_id: of another room', (event, { otherRoom }) => ({ ...event, room_id: otherRoom })),
  before('event_id: missing', set('event_id', undefined), inEventId),
  before('event_id: a number', set('event_id', 7), inEventId),
  before('event_id: without a sigil', set('event_id', 'e:p.test:8448'), inEventId),
  before('event_id: without a server', set('event_id', '$e'), inEventId),
  before('event_id: of a server that did not sign', set('event_id', '$e:o.test:8448'), inEventId),
  before('event_id: 256 bytes', set('event_id', `$${'e'.repeat(243)}:p.test:8448`), inEventId),
  before('event_id: there', set('event_id', '$e:p.test:8448'), {
    in: (version) => version.eventId !== 'in-event',
  }),
]

const ofNumbers: readonly Malformation[] = [
  ...['depth', 'origin_server_ts'].flatMap((name) => [
    before(`${name}: missing`, set(name, undefined)),
    before(`${name}: null`, set(name, null)),
    before(`${name}: a text`, set(name, '1')),
    before(`${name}: true`, set(name, true)),
    before(`${name}: a list`, set(name, [1])),
    before(`${name}: a fraction`, set(name, 1.5)),
    before(`${name}: with an exponent`, set(name, raw('1e3'))),
    before(`${name}: 2^53`, set(name, raw('9007199254740992')), isStrict),
    before(`${name}: beyond all numbers`, set(name, raw('1e400'))),
  ]),
  before('depth: below zero', set('depth', -1)),
  before('depth: 2^63', set('depth', raw('9223372036854775808'))),
  before('content: a fraction', setContent({ n: 1.5 }), untilV6),
  before('content: an integer with a point', setContent({ n: raw('1.0') }), untilV6),
  before('content: an integer with an exponent', setContent({ n: raw('1e2') }), untilV6),
  before('content: 2^53', setContent({ n: raw('9007199254740992') }), untilV6),
  before('content: -2^53', setContent({ n: raw('-9007199254740992') }), untilV6),
  before('content: minus zero', setContent({ n: raw('-0') }), isStrict),
  before('content: a number beyond all numbers', setContent({ n: raw('1e400') })),
  before('content: a number of 5000 digits', setContent({ n: raw('1'.repeat(5000)) })),
  before('content: 2^53 - 1', setContent({ n: Number.MAX_SAFE_INTEGER }), accepted),
]

const ofReferences: readonly Malformation[] = [
  ...['prev_events', 'auth_events'].flatMap((name) => [
    before(`${name}: missing`, set(name, undefined)),
    before(`${name}: null`, set(name, null)),
    before(`${name}: a number`, set(name, 7)),
    before(`${name}: an object`, set(name, {})),
    before(`${name}: a list of numbers`, set(name, [7])),
    before(`${name}: lists in lists`, set(name, [[['$x']]])),
    before(`${name}: a list of no IDs`, set(name, ['x'])),
    before(`${name}: of the other format`, (event, { version }) => {
      const other = { ...version, referencesHaveHashes: !version.referencesHaveHashes }
      return { ...event, [name]: [referenceTo(other, `$${'A'.repeat(43)}`)] }
    }),
  ]),
  before('prev_events: 21', many('prev_events', 21), { ofNewEvents: true }),
  before('auth_events: 11', many('auth_events', 11), { ofNewEvents: true }),
  before('prev_events: none', set('prev_events', []), rejected),
  before('auth_events: none', set('auth_events', []), rejected),
  before(
    'auth_events: one of them twice',
    (event) => {
      const [first, ...rest] = event.auth_events as unknown[]
      return { ...event, auth_events: [first, first, ...rest] }
    },
    rejected,
  ),
]

function many(name: string, count: number): Change {
  return (event, { version }) => {
    const list = event[name] as unknown[]
    const more = Array.from({ length: count - list.length }, (_, at) => {
      return referenceTo(version, `$${at}${'A'.repeat(43 - `${at}`.length)}`)
    })
    return { ...event, [name]: [...list, ...more] }
  }
}

const ofContent: readonly Malformation[] = [
  ...[...notTexts, ['a text', 'x'] as const].map(([what, value]) =>
    before(`content: ${what}`, set('content', value)),
  ),
  before('content: half a surrogate pair', setContent({ s: 'x\ud800y' })),
  before('content: half a surrogate pair in a key', setContent({ 'x\udfff': 1 })),
  before('content: nested too deeply', setContent({ d: nested(70) })),
  before('content: nested as deeply as the stack', setContent({ d: nested(3000) })),
  before('content: nested', setContent({ d: nested(40) }), accepted),
  before('content: a key __proto__', setContent(JSON.parse('{"__proto__":{"a":1}}')), accepted),
  before('content: keys of all planes', setContent({ '😀': 1, '｡': 2, é: 3, '': 4 }), accepted),
  text('a key twice', (json) => json.replace('{', '{"depth":1,')),
  text('a key twice in the content', (json) =>
    json.replace('"content":{', '"content":{"canary":1,'),
  ),
  text('a key twice, one of them escaped', (json) => json.replace('{', '{"\\u0064epth":1,')),
  text('spaces and escapes', (json) => `\n ${json.replace('"type"', ' "\\u0074ype"')} `, accepted),
]

function nested(levels: number): unknown {
  return JSON.parse(`${'['.repeat(levels)}${']'.repeat(levels)}`)
}

const sizes: readonly Malformation[] = [
  { name: '65537 bytes', make: (event, forge) => filled(event, forge, 65_537) },
  {
    name: '65536 bytes',
    fate: 'accepted',
    isFull: true,
    make: (event, forge) => filled(event, forge, 65_536),
  },
  { name: '200 000 bytes', make: (event, forge) => filled(event, forge, 200_000) },
  after('unsigned: any', set('unsigned', { age: 1.5, x: 'x'.repeat(70_000) }), accepted),
  after('unsigned: a text', set('unsigned', 'x'), accepted),
]

/** The event with as much content as makes it so large. */
function filled(event: RawEvent, { version, signer }: Forge, bytes: number): string {
  const make = (pad: string) =>
    textOf(sealed(version, setContent({ pad })(event, undefined as never), signer))
  return make('x'.repeat(bytes - Buffer.byteLength(make(''))))
}

export const malformations: readonly Malformation[] = [
  ...ofSignatures,
  ...hashes,
  ...changedAfterwards,
  ...ofNames,
  ...ofNumbers,
  ...ofReferences,
  ...ofContent,
  ...sizes,
]

/** Those of a room version, in order. */
export function malformationsOf(version: RoomVersion): Malformation[] {
  return malformations.filter((one) => one.in?.(version) ?? true)
}

export function fateOf({ fate = 'dropped' }: Malformation, version: RoomVersion): Fate {
  return typeof fate === 'function' ? fate(version) : fate
}
