/**
 * Servers that answer and ask as other software does: Synapse, Dendrite and the family of Conduit, each in
 * what it is known for, and servers of years ago. Behind it is a whole Hansa; what it says is not false, but
 * less, other in form, or refused.
 *
 * @module
 */

import { authorizationOf } from '../../src/federation/request-signing.ts'
import type { OutgoingRequest } from '../../src/io/http.ts'
import type { SeededRandom } from '../../src/io/simulated/simulated-random.ts'
import type { ServerName } from '../../src/protocol/identifiers/ids.ts'
import type { JsonObject } from '../../src/protocol/json.ts'
import { signJson } from '../../src/protocol/signatures.ts'
import {
  type AskedOf,
  changed,
  elements,
  eventLists,
  json,
  listOf,
  type Mask,
  membersOf,
  objectOf,
  type Reply,
  reply,
  withEvents,
} from './mask.ts'
import { count, type Run } from './run.ts'
import type { SimulatedServer } from './simulated-server.ts'

interface Peer {
  readonly run: Run
  readonly server: SimulatedServer
  readonly random: SeededRandom
  /** Counts that this is how it behaved. */
  readonly reached: () => void
}

type Trait = (peer: Peer) => Mask

const traits: Readonly<Record<string, Trait>> = {
  'version 1 alone': answers(
    /^(send_join|send_leave|invite)$/,
    async ({ reached }, asked, honest) => {
      if (asked.version === 'v1') return await honest()
      reached()
      return json(404, { errcode: 'M_UNRECOGNIZED', error: 'Unrecognized request' })
    },
  ),
  'no knocks': answers(/^(make|send)_knock$/, async ({ reached }) => {
    reached()
    return reply(404, '404 page not found\n', 'text/plain; charset=utf-8')
  }),
  'null for nothing': answers(/./, async ({ reached }, _asked, honest) => {
    return withLists(await honest(), (list) => {
      if (list !== '[]') return list
      reached()
      return 'null'
    })
  }),
  'no list for nothing': answers(
    /^(get_missing_events|backfill)$/,
    async ({ reached }, _, honest) => {
      const answer = await honest()
      const members = membersOf(answer.body)
      if (members?.get('events') !== '[]' && members?.get('pdus') !== '[]') return answer
      reached()
      return json(200, {})
    },
  ),
  'all members at a join': answers(/^send_join$/, async ({ reached }, asked, honest) => {
    const target = asked.target.replace(/[?&]omit_members=true/, '')
    const answer = await honest(target === asked.target ? undefined : { target })
    return changed(answer, (members) => {
      members.delete('members_omitted')
      members.delete('servers_in_room')
      if (members.get('event')?.includes('join_authorised_via_users_server') !== true) {
        members.delete('event')
      }
      reached()
    })
  }),
  'few events at once': answers(
    /^(get_missing_events|backfill)$/,
    async ({ reached }, { operation }, honest) => {
      return withLists(await honest(), (list) => {
        const events = elements(list)
        if (events.length <= fewEvents) return list
        reached()
        // What history is asked for is given first, however deep others say they are.
        const first = () => events.slice(0, fewEvents)
        return listOf(operation === 'backfill' ? first() : latest(events, fewEvents))
      })
    },
  ),
  'an event less in the auth chain': answers(
    /^(event_auth|send_join)$/,
    async ({ reached, random }, _, honest) => {
      return changed(await honest(), (members) => {
        const chain = elements(members.get('auth_chain'))
        if (chain.length < 2) return
        reached()
        members.set('auth_chain', listOf(chain.toSpliced(random.below(chain.length), 1)))
      })
    },
  ),
  'age of events': (peer) => {
    const aged = (body: Uint8Array) => withEvents(body, (event) => withAge(peer, event))
    return {
      answer: async (_asked, honest) => {
        const answer = await honest()
        return answer.status === 200 ? { ...answer, body: aged(answer.body) } : answer
      },
      ask: async (request, send) => {
        if (!isTransaction(request)) return await send(request)
        peer.reached()
        return await send(signedAnew(peer.server, request, aged(bytesOf(request))))
      },
    }
  },
  'loose JSON': (peer) => ({
    answer: async (_asked, honest) => {
      const answer = await honest()
      const body = loose(answer.body)
      if (body !== answer.body) peer.reached()
      return { ...answer, body }
    },
    // What is signed is the canonical form.
    ask: (request, send) =>
      send(isTransaction(request) ? { ...request, body: loose(bytesOf(request)) } : request),
  }),
  'templates of old': answers(/^make_/, async ({ reached, server }, asked, honest) => {
    return changed(await honest(), (members) => {
      const event = membersOf(Buffer.from(members.get('event') ?? ''))
      if (event === undefined) return
      reached()
      for (const key of ['prev_events', 'auth_events']) {
        event.set(key, (event.get(key) ?? '[]').replaceAll(/\{"sha256":"[^"]*"\}/g, '{}'))
      }
      event.set('origin', JSON.stringify(server.name))
      event.set('origin_server_ts', String(server.running.server.clock.now()))
      event.set('hashes', '{"sha256":"YQ"}')
      event.set('signatures', JSON.stringify({ [server.name]: { 'ed25519:1': 'YQ' } }))
      event.set('prev_state', '[]')
      event.set('unsigned', JSON.stringify({ age: 4, for: asked.params[1] }))
      members.set('event', objectOf(event))
    })
  }),
  'keys without old ones': answers(/^key\/server$/, async ({ reached, server }, _, honest) => {
    const answer = await honest()
    if (answer.status !== 200) return answer
    reached()
    const said = JSON.parse(Buffer.from(answer.body).toString()) as JsonObject
    const { old_verify_keys: _old, signatures: _signatures, ...keys } = said
    return json(200, signJson(keys, server.ownSigner))
  }),
  // It has taken it, and says that it failed.
  'failed by a receipt': answers(/^send$/, async ({ reached }, asked, honest) => {
    const answer = await honest()
    if (!Buffer.from(asked.body).includes('"edu_type":"m.receipt"')) return answer
    reached()
    return json(500, { errcode: 'M_UNKNOWN', error: 'Internal Server Error' })
  }),
  'nothing said of events': answers(/^send$/, async ({ reached }, _, honest) => {
    const answer = await honest()
    if (answer.status !== 200) return answer
    reached()
    return json(200, { pdus: {} })
  }),
  'proxy in trouble': answers(/./, async ({ reached, random, run }, _, honest) => {
    if (!run.world.isTroubled || !random.happens(0.04)) return await honest()
    reached()
    return reply(502, '<html><h1>502 Bad Gateway</h1><hr>nginx</html>', 'text/html')
  }),
  'asks for patience': answers(/./, async ({ reached, random, run }, _, honest) => {
    if (!run.world.isTroubled || !random.happens(0.04)) return await honest()
    reached()
    const says = random.pick([{}, { retry_after_ms: 1500 }])
    const { body, headers } = json(429, { errcode: 'M_LIMIT_EXCEEDED', error: 'Slow', ...says })
    const header = random.pick([{}, { 'retry-after': '2' }])
    return { status: 429, body, headers: { ...headers, ...header } }
  }),
}

/** What each is known for. */
const families: Readonly<Record<string, readonly string[]>> = {
  Synapse: ['age of events', 'templates of old', 'proxy in trouble', 'asks for patience'],
  Dendrite: ['no knocks', 'null for nothing', 'failed by a receipt', 'all members at a join'],
  Conduit: [
    'all members at a join',
    'keys without old ones',
    'nothing said of events',
    'loose JSON',
    'an event less in the auth chain',
  ],
  'one of old': [
    'version 1 alone',
    'few events at once',
    'no list for nothing',
    'templates of old',
    'proxy in trouble',
  ],
}

/** What is counted of them. */
export const legacyTraits = Object.entries(families).flatMap(([family, names]) =>
  names.map((name) => `${family}: ${name}`),
)

const fewEvents = 4

/** Makes a server behave as other software. */
export function becomeLegacy(run: Run, server: SimulatedServer, random: SeededRandom): void {
  const family = random.pick(Object.keys(families))
  if (!run.script.includes(`${server.host} behaves as ${family}`)) return
  count(run, `behaves as ${family}`)
  for (const name of families[family] ?? []) {
    if (!run.script.includes(`${server.host}: ${name}`)) continue
    const reached = () => count(run, `${family}: ${name}`)
    const mask = traits[name]?.({ run, server, random: random.fork(name), reached })
    if (mask !== undefined) server.masks.push(mask)
  }
}

function answers(
  operations: RegExp,
  answer: (
    peer: Peer,
    asked: AskedOf,
    honest: Parameters<Required<Mask>['answer']>[1],
  ) => Promise<Reply>,
): Trait {
  return (peer) => ({
    answer: async (asked, honest) =>
      operations.test(asked.operation) ? await answer(peer, asked, honest) : await honest(),
  })
}

function withLists(answer: Reply, change: (list: string) => string): Reply {
  return changed(answer, (members) => {
    for (const key of eventLists) {
      const list = members.get(key)
      if (list?.startsWith('[')) members.set(key, change(list))
    }
  })
}

/** Those of the events that are deepest, in the order in which they are given. */
function latest(events: readonly string[], most: number): string[] {
  const depth = (event: string) => Number((JSON.parse(event) as { depth: number }).depth)
  const chosen = new Set(events.toSorted((a, b) => depth(b) - depth(a)).slice(0, most))
  return events.filter((event) => chosen.has(event))
}

function withAge({ server }: Peer, event: string): string {
  const members = membersOf(Buffer.from(event))
  if (members === undefined) return event
  members.set('unsigned', JSON.stringify({ age: 7, age_ts: server.running.server.clock.now() }))
  return objectOf(members)
}

/** The same JSON with its keys turned round, and spaces; as it is, where numbers might change. */
function loose(body: Uint8Array): Uint8Array {
  const text = Buffer.from(body).toString()
  if (!text.startsWith('{') || /\d{16}/.test(text)) return body
  return Buffer.from(JSON.stringify(turned(JSON.parse(text)), null, 1))
}

function turned(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(turned)
  if (typeof value !== 'object' || value === null) return value
  const members = Object.entries(value).reverse()
  return Object.fromEntries(members.map(([key, member]) => [key, turned(member)]))
}

function isTransaction({ target }: OutgoingRequest): boolean {
  return target.startsWith('/_matrix/federation/v1/send/')
}

function bytesOf({ body = '' }: OutgoingRequest): Uint8Array {
  return typeof body === 'string' ? Buffer.from(body) : body
}

/** A request of a server with another body, which must be canonical JSON. */
export function signedAnew(
  server: SimulatedServer,
  request: OutgoingRequest,
  content: Uint8Array,
): OutgoingRequest {
  const { method, target, hostHeader } = request
  const signed = { method, target, destination: hostHeader as ServerName, content }
  const authorization = authorizationOf(server.ownSigner, signed)
  return { ...request, body: content, headers: { ...request.headers, authorization } }
}
