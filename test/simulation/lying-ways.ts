/**
 * How liars answer and ask, whatever it is about: with other keys than their own, just before it is too
 * late, with notes of their own under the events of others; and not at all to a victim.
 *
 * @module
 */

import { encodeBase64 } from '../../src/protocol/base64.ts'
import { signingKeyOf } from '../../src/protocol/ed25519.ts'
import type { JsonObject } from '../../src/protocol/json.ts'
import { signJson } from '../../src/protocol/signatures.ts'
import { signedAnew } from './legacy-peers.ts'
import type { AnswerLie, Telling } from './lying-answers.ts'
import { json, type Mask, membersOf, objectOf, type Reply, withEvents } from './mask.ts'
import type { SimulatedServer } from './simulated-server.ts'

/** Lies about the liar's own keys. */
export const keyLies: Readonly<Record<string, AnswerLie>> = {
  'keys of another server': {
    to: /^key\/server$/,
    silences: true,
    tell: async ({ run, liar, random }) => {
      const others = run.world.servers.filter((server) => server !== liar && server.isUp)
      if (others.length === 0) return undefined
      const { serverName, keyId, publicKey } = random.pick(others).ownSigner
      const keys = {
        server_name: serverName,
        verify_keys: { [keyId]: { key: encodeBase64(publicKey) } },
        old_verify_keys: {},
        valid_until_ts: liar.running.server.clock.now() + dayMs,
      }
      return json(200, signJson(keys, liar.ownSigner))
    },
  },
  // Who is told so does not take what the liar says meanwhile, nor may anybody else.
  'keys that have expired': aboutKeys({ silences: true }, (keys, { run, liar, asked }) => {
    run.withheld.add(`${liar.name} ${asked.asker.name}`)
    const now = liar.running.server.clock.now()
    return signJson({ ...keys, valid_until_ts: now - 3_600_000 }, liar.ownSigner)
  }),
  'keys for ever': aboutKeys({}, (keys, { liar }) =>
    signJson({ ...keys, valid_until_ts: Number.MAX_SAFE_INTEGER }, liar.ownSigner),
  ),
  // Another key under the same ID: to those who take it the liar says nothing ever after.
  'another key': aboutKeys({ misleads: true }, (keys, telling) => {
    const { serverName, keyId } = telling.liar.ownSigner
    const other = { serverName, keyId, ...signingKeyOf(telling.random.bytes(32)) }
    const verify_keys = { [keyId]: { key: encodeBase64(other.publicKey) } }
    return signJson({ ...keys, verify_keys }, other)
  }),
  'a key more': aboutKeys({}, (keys, telling) => {
    const { liar, random } = telling
    const { serverName } = liar.ownSigner
    const other = { serverName, keyId: 'ed25519:more', ...signingKeyOf(random.bytes(32)) }
    const more = { [other.keyId]: { key: encodeBase64(other.publicKey) } }
    const verify_keys = { ...(keys.verify_keys as JsonObject), ...more }
    return signJson(signJson({ ...keys, verify_keys }, liar.ownSigner), other)
  }),
}

const dayMs = 86_400_000

function aboutKeys(
  kind: Pick<AnswerLie, 'misleads' | 'silences'>,
  change: (keys: JsonObject, telling: Telling) => JsonObject,
): AnswerLie {
  return {
    to: /^key\/server$/,
    ...kind,
    tell: async (telling) => {
      const answer = await telling.honest()
      if (answer.status !== 200) return undefined
      const { signatures: _ours, ...keys } = JSON.parse(Buffer.from(answer.body).toString())
      return json(200, change(keys, telling))
    },
  }
}

/** For how long an answer is waited for (`remote-servers.ts`, `call.ts`), less a little for the way. */
const slownessMs: readonly (readonly [RegExp, number])[] = [
  [/^event$/, 19_900],
  [/^(make|send)_(leave|knock)$|^make_join$|^invite$/, 29_900],
  [/^(state|state_ids|send_join|event_auth)$/, 299_900],
  [/./, 59_900],
]

export const generalLies: Readonly<Record<string, AnswerLie>> = {
  'answer at the last moment': {
    to: /./,
    silences: true,
    tell: async ({ run, asked, honest }) => {
      const answer = await honest()
      const waitMs = slownessMs.find(([operations]) => operations.test(asked.operation))?.[1] ?? 0
      await run.world.time.clock().sleep(waitMs)
      return answer
    },
  },
  'junk under events': {
    to: /./,
    tell: async (telling): Promise<Reply> => {
      const answer = await telling.honest()
      if (answer.status !== 200) return answer
      return { ...answer, body: withJunk(answer.body, telling) }
    },
  },
}

/** What no hash covers. */
const unsigned: readonly object[] = [
  { age: -1, transaction_id: 't1' },
  { redacted_because: { type: 'm.room.redaction', sender: '@u:nobody.test', content: {} } },
  { prev_content: { membership: 'ban' }, prev_sender: '@u:nobody.test', replaces_state: '$a:b' },
  { 'm.relations': { 'm.replace': { event_id: '$a:b' }, 'm.thread': null } },
  { membership: 'leave', invite_room_state: [null, 7, {}], knock_room_state: 'x' },
  { age_ts: 1e300, nested: { unsigned: { unsigned: {} } }, '': '' },
]

function withJunk(body: Uint8Array, { random }: Pick<Telling, 'random'>): Uint8Array {
  return withEvents(body, (text) => {
    const event = membersOf(Buffer.from(text))
    if (event === undefined) return text
    event.set('unsigned', JSON.stringify(random.pick(unsigned)))
    return objectOf(event)
  })
}

/** A server that sends a victim none of its events, and says to itself that it has. */
export function withholding(
  liar: SimulatedServer,
  victim: SimulatedServer,
  reached: () => void,
): Required<Pick<Mask, 'ask'>> {
  return {
    ask: async (request, send) => {
      const isSent = request.target.startsWith('/_matrix/federation/v1/send/')
      if (!isSent || request.hostHeader !== victim.name) return await send(request)
      const { body = '' } = request
      const members = membersOf(typeof body === 'string' ? Buffer.from(body) : body)
      if (members === undefined || members.get('pdus') === '[]') return await send(request)
      members.set('pdus', '[]')
      reached()
      return await send(signedAnew(liar, request, Buffer.from(objectOf(members))))
    },
  }
}
