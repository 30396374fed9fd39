/**
 * Names, numbers, references and contents that are none, and events that are too large.
 *
 * @module
 */

import { type RawEvent, sealed, textOf } from '../scripted-peer/forged-event.ts'
import {
  accepted,
  after,
  before,
  type Change,
  type Forge,
  inEventId,
  type Malformation,
  type Options,
  referenceTo,
  rejected,
  set,
  setContent,
  text,
} from './malformation.ts'

const raw = (number: string) => JSON.rawJSON(number)

const isStrict: Options = { in: (version) => version.strictCanonicalJson }
/** Numbers that canonical JSON has not; before version 6 events may have them. */
const untilV6: Options = {
  fate: (version) => (version.strictCanonicalJson ? 'dropped' : 'accepted'),
}

const notTexts: readonly [string, unknown][] = [
  ['missing', undefined],
  ['null', null],
  ['a number', 7],
  ['a list', ['x']],
]

export const ofNames: readonly Malformation[] = [
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

export const ofNumbers: readonly Malformation[] = [
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

export const ofReferences: readonly Malformation[] = [
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

export const ofContent: readonly Malformation[] = [
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

export const sizes: readonly Malformation[] = [
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
