/**
 * What liars send without being asked.
 *
 * @module
 */

import { encodeBase64 } from '../../src/protocol/base64.ts'
import { signingKeyOf } from '../../src/protocol/ed25519.ts'
import { hashed, type RawEvent, sealed, signed, textOf } from '../scripted-peer/forged-event.ts'
import { depthsThatLie, endlessAuthChain, endlessGap } from './endless.ts'
import {
  drafted,
  honestMessage,
  idIn,
  isAllowed,
  type Liar,
  lyingTransaction,
  others,
  sendHonest,
  signedBy,
} from './lying-events.ts'
import { junkInvite } from './lying-invites.ts'
import { count } from './run.ts'

type Act = (liar: Liar) => Promise<void>

export const lyingActs: Readonly<Record<string, Act>> = {
  'poison among good': poison,
  'sizes at the limits': sizes,
  'one ID for two events': oneId,
  'transaction ID again': transactionAgain,
  'EDUs for others': edusForOthers,
  'junk invite': junkInvite,
  'wrong signatures': wrongSignatures,
  'endless gap': endlessGap,
  'endless auth chain': endlessAuthChain,
  'depths that lie': depthsThatLie,
}

/** What an event must not hold in any version of rooms. */
function poisons(liar: Liar): readonly RawEvent[] {
  const huge = JSON.rawJSON('9223372036854775808')
  const references = (count: number) => Array.from({ length: count }, (_, index) => `$${index}:a.b`)
  return [
    ...[-1, '1', null, huge, JSON.rawJSON('1e400'), [], true].map((depth) => ({ depth })),
    ...['x', null, huge, {}].map((origin_server_ts) => ({ origin_server_ts })),
    ...[null, 7, {}, 'x', references(21), [[[]]]].map((prev_events) => ({ prev_events })),
    ...[null, 7, references(11), [null]].map((auth_events) => ({ auth_events })),
    ...[null, [], 'x', 7].map((content) => ({ content })),
    ...[null, 7, {}].map((type) => ({ type })),
    ...['', 'x', '@:', `@u:${liar.server.name}\u0000`, null].map((sender) => ({ sender })),
    ...['', '!', null, {}].map((room_id) => ({ room_id })),
    ...[null, 7, {}].map((state_key) => ({ state_key })),
  ]
}

async function poison(liar: Liar): Promise<void> {
  const { run, random, roomId } = liar
  const good = honestMessage(liar, 'among poison')
  if (good === undefined) return
  const { version } = liar.place
  const bad: string[] = ['null', '7', '{}', '[]', `{"a":${'['.repeat(200)}${']'.repeat(200)}}`]
  for (const change of poisons(liar)) {
    const claim = { type: 'm.room.message', content: { body: 'poison' } }
    const event = sealedOrNot(liar, drafted(liar, claim, change))
    bad.push(textOf(event.whole))
    // Rooms of old versions have numbers of any size.
    const mayBe = !version.strictCanonicalJson && Object.values(change).some(JSON.isRawJSON)
    if (event.id !== undefined && !mayBe) run.forged.push({ roomId, eventId: event.id })
  }
  const some = bad.filter(() => random.happens(0.4)).slice(0, 45)
  const at = random.below(some.length + 1)
  const pdus = some.toSpliced(at, 0, textOf(good))
  count(run, 'lie: poison among good')
  if (await sendHonest(liar, random.pick(others(liar)), good, { pdus })) {
    count(run, 'taken from among poison')
  }
}

/** What cannot be redacted has no ID, and no signature that counts. */
function sealedOrNot(liar: Liar, event: RawEvent): { whole: RawEvent; id?: string } {
  try {
    const whole = signedBy(liar, event)
    return { whole, id: idIn(liar, whole) }
  } catch {
    return { whole: event }
  }
}

const eventBytesMax = 65_536

async function sizes(liar: Liar): Promise<void> {
  const { run, random, roomId } = liar
  const to = random.pick(others(liar))
  const long = (length: number) => 't'.repeat(length)
  const body = { body: 'long' }
  const fits = [
    ofSize(liar, eventBytesMax),
    signedBy(liar, drafted(liar, { type: long(255), content: body })),
  ]
  const tooLong = [
    ofSize(liar, eventBytesMax + 1),
    signedBy(liar, drafted(liar, { type: long(256), content: body })),
    signedBy(liar, drafted(liar, { type: 'm.x', state_key: long(256), content: body })),
  ]
  for (const event of tooLong) run.forged.push({ roomId, eventId: idIn(liar, event) })
  count(run, 'lie: sizes at the limits')
  const allowed = fits.filter((event) => isAllowed(liar, event))
  const pdus = [...tooLong, ...allowed].map(textOf)
  for (const event of allowed) {
    if (await sendHonest(liar, to, event, { pdus })) count(run, 'taken at the limit of size')
  }
}

/** A message of exactly so many bytes. */
function ofSize(liar: Liar, bytes: number): RawEvent {
  const draft = drafted(liar, { type: 'm.room.message', content: { body: '' } })
  const without = Buffer.byteLength(textOf(signedBy(liar, draft)))
  return signedBy(liar, { ...draft, content: { body: 'x'.repeat(bytes - without) } })
}

/** In versions 1 and 2 of rooms an event says itself what its ID is. */
async function oneId(liar: Liar): Promise<void> {
  const { run, place } = liar
  if (place.version.eventId !== 'in-event') return
  const one = honestMessage(liar, 'one face')
  if (one === undefined) return
  const other = signedBy(liar, { ...withoutSeal(one), content: { body: 'another face' } })
  count(run, 'lie: one ID for two events')
  for (const [index, to] of others(liar).entries()) {
    await sendHonest(liar, to, index % 2 === 0 ? one : other)
  }
}

function withoutSeal({ hashes: _hashes, signatures: _signatures, ...event }: RawEvent): RawEvent {
  return event
}

async function transactionAgain(liar: Liar): Promise<void> {
  const { run, random } = liar
  const to = random.pick(others(liar))
  const txnId = `again${run.forgedIds}`
  for (const body of ['first', 'second']) {
    const event = honestMessage(liar, body)
    if (event !== undefined) await sendHonest(liar, to, event, { txnId })
  }
  count(run, 'lie: transaction ID again')
}

/** What no server may say of the users of another; what comes of it, `forgedText` would show. */
async function edusForOthers(liar: Liar): Promise<void> {
  const { run, random, roomId, server } = liar
  const strangers = run.clients.filter((client) => client.server !== server)
  if (strangers.length === 0) return
  const to = random.pick(strangers).server
  const victim = random.pick(strangers).userId
  const { userId } = random.pick(strangers)
  const key = { user_id: userId, usage: ['master'], keys: { 'ed25519:a': 'YQ' } }
  const list = { user_id: userId, device_id: 'X', stream_id: 1, prev_id: [], deleted: true }
  const receipt = { data: { ts: 1 }, event_ids: ['$a:b'] }
  const edus: readonly unknown[] = [
    edu('m.typing', { room_id: roomId, user_id: userId, typing: true }),
    edu('m.receipt', { [roomId]: { 'm.read': { [userId]: receipt } } }),
    edu('m.presence', { push: [{ user_id: userId, presence: 'online' }, null, 7] }),
    edu('m.direct_to_device', {
      sender: userId,
      type: 'test.text',
      message_id: `forged${run.forgedIds}`,
      messages: { [victim]: { '*': { text: forgedText } } },
    }),
    edu('m.device_list_update', list),
    edu('m.signing_key_update', { user_id: userId, master_key: key }),
    edu('m.receipt', null),
    edu('m.typing', [roomId]),
    edu('m.direct_to_device', { sender: userId, messages: { [victim]: null } }),
    edu('m.unknown', {}),
    ...[null, 7, 'x', [], {}, { edu_type: 7, content: {} }],
  ]
  run.forgedIds += 1
  count(run, 'lie: EDUs for others')
  const some = edus.filter(() => random.happens(0.7)).map((one) => JSON.stringify(one))
  if ((await lyingTransaction(liar, to, { edus: some })) !== undefined) {
    count(run, 'EDUs for others were answered')
  }
}

/** The text of a message to devices that nobody sent. */
export const forgedText = 'forged to a device'

function edu(edu_type: string, content: unknown): object {
  return { edu_type, content }
}

async function wrongSignatures(liar: Liar): Promise<void> {
  const { run, random, roomId, server, place } = liar
  const event = honestMessage(liar, 'signed otherwise')
  if (event === undefined) return
  const bare = drafted(liar, { type: 'm.room.message', content: { body: 'of another key' } })
  const { serverName, keyId } = server.ownSigner
  const key = signingKeyOf(random.bytes(32))
  const neighbour = random.pick(others(liar))
  const wrong: readonly RawEvent[] = [
    { ...event, signatures: {} },
    { ...event, signatures: { [serverName]: { [keyId]: encodeBase64(random.bytes(64)) } } },
    sealed(place.version, bare, { serverName, keyId, ...key }),
    sealed(place.version, bare, { serverName, keyId: 'ed25519:none', ...key }),
    sealed(place.version, bare, {
      ...server.ownSigner,
      serverName: neighbour.ownSigner.serverName,
    }),
    // Over the event as it is, and not over what redaction leaves of it.
    signed(hashed(bare), server.ownSigner, textOf(bare)),
  ]
  const chosen = random.pick(wrong)
  run.forged.push({ roomId, eventId: idIn(liar, chosen) })
  count(run, 'lie: wrong signatures')
  const errors = await lyingTransaction(liar, neighbour, { pdus: [textOf(chosen)] })
  const said = errors?.[idIn(liar, chosen)]
  if (said !== undefined && said.error === undefined) {
    run.problems.push(`${neighbour.name} took an event with a wrong signature: ${textOf(chosen)}`)
  }
}
