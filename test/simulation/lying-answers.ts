/**
 * What liars say to who asks them about a room: other state, other history, other templates, other keys.
 *
 * All that they give of others is signed by these, since nobody can sign for another; they choose what to
 * give, leave out, mix and repeat. Some of it no server can see through: who is told an older state by the
 * only one to ask has to believe it. Such lies mislead, and whoever heard one is no measure any more of
 * what the room is. All others must do no harm.
 *
 * @module
 */

import type { SeededRandom } from '../../src/io/simulated/simulated-random.ts'
import type { EventId, RoomId } from '../../src/protocol/identifiers/ids.ts'
import type { Pdu } from '../../src/protocol/pdu.ts'
import type { StateView, StoredEvent } from '../../src/rooms/rooms.ts'
import {
  type AskedOf,
  changed,
  elements,
  type Instead,
  json,
  listOf,
  membersOf,
  objectOf,
  type Reply,
} from './mask.ts'
import type { Run } from './run.ts'
import type { SimulatedServer } from './simulated-server.ts'

/** A question, and who is about to lie. */
export interface Telling {
  readonly run: Run
  readonly liar: SimulatedServer
  readonly asked: AskedOf
  readonly honest: (instead?: Instead) => Promise<Reply>
  /** The same for the same question; of two who collude, too. */
  readonly random: SeededRandom
}

export interface AnswerLie {
  /** The operations that it answers. */
  readonly to: RegExp
  /** Whether nobody can see through it. */
  readonly misleads?: boolean
  /** Whether the liar can be asked for nothing while it goes on. */
  readonly silences?: boolean
  /** `undefined` if there is nothing to lie about. */
  readonly tell: (telling: Telling) => Promise<Reply | undefined>
}

/** Other events for those of a state; `undefined` leaves it as it is. */
type StateChange = (
  state: readonly EventId[],
  telling: Telling,
) => readonly EventId[] | undefined | Promise<readonly EventId[] | undefined>

export const answerLies: Readonly<Record<string, AnswerLie>> = {
  'stale state': aboutState({ misleads: true }, async (_state, telling) => {
    const past = telling.random.pick(await timelineOf(telling))
    const view = await telling.liar.running.server.rooms.stateBefore(
      roomOf(telling),
      past.pdu.event_id,
    )
    return view && idsOf(view)
  }),
  'partial state': aboutState({ misleads: true }, (state, { random }) =>
    state.filter((_, index) => index === 0 || random.happens(0.7)),
  ),
  'inflated state': aboutState({}, async (state, telling) => {
    const { run, random } = telling
    const timeline = await timelineOf(telling)
    const more = [
      ...run.forged.map(({ eventId }) => eventId as EventId),
      ...timeline.flatMap(({ pdu }) => (pdu.state_key === undefined ? [pdu.event_id] : [])),
      ...(await otherRoomsEvents(telling)).map(({ pdu }) => pdu.event_id),
    ]
    return [...state, ...more.filter(() => random.happens(0.3)).slice(0, 20)]
  }),
  'contradictory state': aboutState({}, async (state, telling) => {
    const { rooms } = telling.liar.running.server
    const told = (await rooms.events(roomOf(telling), state)).map(({ pdu }) => pdu)
    const old = (await oldState(telling)).filter(({ pdu }) => !state.includes(pdu.event_id))
    const rivals = rivalsOf(told, old)
    return rivals.length === 0 ? undefined : [...state, telling.random.pick(rivals).pdu.event_id]
  }),
  'state of another room': aboutState({}, async (_state, telling) => {
    const events = await otherRoomsEvents(telling)
    return events.flatMap(({ pdu }) => (pdu.state_key === undefined ? [] : [pdu.event_id]))
  }),
  'partial auth chain': {
    silences: true,
    to: /^(state|state_ids|event_auth|send_join)$/,
    tell: async ({ honest, random }) =>
      changed(await honest(), (members) => {
        for (const key of ['auth_chain', 'auth_chain_ids']) {
          if (!members.has(key)) continue
          members.set(key, listOf(elements(members.get(key)).filter(() => random.happens(0.5))))
        }
      }),
  },
  'no auth chain': {
    silences: true,
    to: /^(state|event_auth|send_join)$/,
    tell: async ({ honest }) =>
      changed(await honest(), (members) => members.set('auth_chain', '[]')),
  },

  // At a join.
  'join without a create event': atJoin({}, (state) =>
    state.filter((event) => !event.includes('"m.room.create"')),
  ),
  'join with two of a key': atJoin({}, async (state, telling) => {
    const told = state.map(said)
    const rivals = rivalsOf(told, await oldState(telling))
    return rivals.length === 0 ? undefined : [...state, textOf(telling.random.pick(rivals))]
  }),
  'join with less state': atJoin({ misleads: true }, (state, { random }) =>
    state.filter((event) => event.includes('"m.room.create"') || random.happens(0.7)),
  ),
  'join with older state': atJoin({ misleads: true }, async (state, telling) => {
    const old = await oldState(telling)
    if (old.length === 0) return undefined
    const { pdu } = telling.random.pick(old)
    const isSame = (event: string) => {
      const { type, state_key } = said(event)
      return type === pdu.type && state_key === pdu.state_key
    }
    return state.map((event) => (isSame(event) ? Buffer.from(pdu.bytes).toString() : event))
  }),
  'join with junk': atJoin({}, async (state, telling) => {
    const others = (await otherRoomsEvents(telling)).map(textOf)
    return [...junk, ...state, ...others.slice(0, 5)]
  }),
  'join with members left out and not said': {
    to: /^send_join$/,
    misleads: true,
    tell: async ({ honest }) =>
      changed(await honest(), (members) => members.delete('members_omitted')),
  },
  'join with other servers': {
    to: /^send_join$/,
    tell: async ({ honest, random, asked }) =>
      changed(await honest(), (members) => {
        const names = random.pick([
          [],
          ['nobody.test'],
          [asked.asker.name, '', 'a b', '::', 7, null],
        ])
        members.set('servers_in_room', JSON.stringify(names))
      }),
  },
  'join with another event': {
    to: /^send_join$/,
    tell: async ({ honest, random }) =>
      changed(await honest(), (members) => {
        const event = membersOf(Buffer.from(members.get('event') ?? ''))
        event?.set('origin_server_ts', String(random.below(1000)))
        const other = random.pick([...elements(members.get('state')), 'null'])
        members.set('event', event && random.happens(0.5) ? objectOf(event) : other)
      }),
  },

  // Templates.
  'junk template': {
    to: /^make_(join|leave|knock)$/,
    tell: async ({ honest, random, asked }) =>
      changed(await honest(), (members) => {
        const event = membersOf(Buffer.from(members.get('event') ?? '{}')) ?? new Map()
        const [key, value] = random.pick(junkOfTemplate(asked.params[1] ?? ''))
        event.set(key, JSON.stringify(value))
        members.set('event', objectOf(event))
      }),
  },
  'another room version': {
    to: /^make_(join|knock)$/,
    tell: async ({ honest, random }) =>
      changed(await honest(), (members) => {
        const version = random.pick(['1', '2', '3', '6', '10', '11', '12', '13', 'org.example', 7])
        members.set('room_version', JSON.stringify(version))
      }),
  },

  // History.
  'unrelated events': {
    to: /^(backfill|get_missing_events)$/,
    tell: async (telling) => {
      const others = [...(await otherRoomsEvents(telling)), ...(await timelineOf(telling))]
      const some = others.filter(() => telling.random.happens(0.3)).slice(0, 40)
      return withHistory(await telling.honest(), (events) => [...some.map(textOf), ...events])
    },
  },
  'junk among events': {
    to: /^(backfill|get_missing_events)$/,
    tell: async ({ honest, random }) =>
      withHistory(await honest(), (events) => [
        ...junk,
        ...events.flatMap((event) => [event, random.pick(junk), event]),
      ]),
  },
  'history withheld': {
    to: /^(backfill|get_missing_events|event|event_auth|state|state_ids)$/,
    silences: true,
    tell: async () => json(404, { errcode: 'M_NOT_FOUND', error: 'There is no such thing.' }),
  },
  'another event': {
    to: /^event$/,
    tell: async (telling) => {
      const { honest, random } = telling
      const answer = await honest()
      const events = elements(membersOf(answer.body)?.get('pdus'))
      const { room_id } = said(events[0] ?? '{}')
      const other = room_id && (await timelineOf({ ...telling, asked: inRoom(room_id, telling) }))
      if (!other || other.length === 0) return undefined
      return changed(answer, (members) => members.set('pdus', listOf([textOf(random.pick(other))])))
    },
  },
}

/** What is said in the place of an event; nothing by what another lie has put there. */
function said(text: string): Placed & { readonly room_id?: string } {
  const value = JSON.parse(text)
  return typeof value === 'object' && value !== null ? value : {}
}

/** Values that no list of events has. */
const junk = ['null', '7', '"event"', '[]', '{}', '{"type":"m.room.message"}', '[[{"pdus":[{}]}]]']

function aboutState(
  { misleads = false }: { readonly misleads?: boolean },
  change: StateChange,
): AnswerLie {
  return {
    to: /^(state|state_ids)$/,
    misleads,
    // A room that is known in part would stay so.
    silences: true,
    tell: async (telling) => {
      const answer = await telling.honest()
      const { rooms } = telling.liar.running.server
      const eventId = telling.asked.query.get('event_id') as EventId
      const view = await rooms.stateBefore(roomOf(telling), eventId)
      if (answer.status !== 200 || view === undefined) return undefined
      const state = await change(idsOf(view), telling)
      if (state === undefined) return undefined
      if (telling.asked.operation === 'state_ids') {
        return changed(answer, (members) => members.set('pdu_ids', JSON.stringify(state)))
      }
      const events = (await rooms.events(roomOf(telling), state)).map(textOf)
      return changed(answer, (members) => members.set('pdus', listOf(events)))
    },
  }
}

function atJoin(
  { misleads = false }: { readonly misleads?: boolean },
  change: (
    state: readonly string[],
    telling: Telling,
  ) => readonly string[] | undefined | Promise<readonly string[] | undefined>,
): AnswerLie {
  return {
    to: /^send_join$/,
    misleads,
    tell: async (telling) => {
      const answer = await telling.honest()
      const state = await change(elements(membersOf(answer.body)?.get('state')), telling)
      return state && changed(answer, (members) => members.set('state', listOf(state)))
    },
  }
}

function withHistory(
  answer: Reply,
  change: (events: readonly string[]) => readonly string[],
): Reply {
  return changed(answer, (members) => {
    const key = members.has('events') ? 'events' : 'pdus'
    members.set(key, listOf(change(elements(members.get(key)))))
  })
}

/** What a template may say that no honest one does. */
function junkOfTemplate(userId: string): readonly (readonly [string, unknown])[] {
  const types = ['m.room.power_levels', 'm.room.create', 'm.room.join_rules', 'm.room.message', '']
  const contents = [
    { membership: 'ban' },
    { membership: 'invite' },
    { membership: 'leave', users: { [userId]: 100 } },
    { users: { [userId]: 100 } },
    { membership: 'join', join_authorised_via_users_server: userId },
    { membership: 'join', join_authorised_via_users_server: 'nobody' },
    { join_rule: 'public' },
    null,
    'join',
  ]
  const references = [null, [], {}, ['nothing'], [['$a:b', {}], 7], Array(21).fill('$a:b')]
  return [
    ...types.map((type) => ['type', type] as const),
    ...contents.map((content) => ['content', content] as const),
    ...['', '@other:alpha.test:8448', 7].map((key) => ['state_key', key] as const),
    ...['@admin:alpha.test:8448', '@u:beta.test:8448', null].map((one) => ['sender', one] as const),
    ...['!other:alpha.test:8448', '!', null].map((one) => ['room_id', one] as const),
    ...[...references, [['$a:b', { sha256: 'YQ' }]]].map((one) => ['prev_events', one] as const),
    ...[...references, Array(11).fill('$a:b')].map((one) => ['auth_events', one] as const),
    ...[-1, 1.5, '1', null, 1e300].map((depth) => ['depth', depth] as const),
    ['x'.repeat(70_000), 'x'],
    ['origin_server_ts', -1],
    ['redacts', '$a:b'],
  ]
}

/** The room that is asked about. */
export function roomOf({ asked }: Pick<Telling, 'asked'>): RoomId {
  return asked.params[0] as RoomId
}

function inRoom(roomId: string, { asked }: Telling): AskedOf {
  return { ...asked, params: [roomId, ...asked.params] }
}

const end = { stream: Number.MAX_SAFE_INTEGER, sub: 0 }

/** What was said lately, as the liar knows it. */
async function timelineOf(telling: Telling): Promise<readonly StoredEvent[]> {
  const { rooms } = telling.liar.running.server
  const range = { from: end, direction: 'backwards', limit: 30 } as const
  return await rooms.timeline(roomOf(telling), range)
}

/** State events that others have taken the place of. */
async function oldState(telling: Telling): Promise<StoredEvent[]> {
  const current = await telling.liar.running.server.rooms.currentState(roomOf(telling))
  return (await timelineOf(telling)).filter(({ pdu }) => {
    const { type, state_key: stateKey, event_id } = pdu
    return stateKey !== undefined && current?.eventId(type, stateKey) !== event_id
  })
}

type Placed = Partial<Pick<Pdu, 'type' | 'state_key'>>

/**
 * Those of other events for whose places a state has events, too: with one of these everybody sees that
 * it is none. With one for a place that is empty it would be a state that may have been.
 */
function rivalsOf(state: readonly Placed[], others: readonly StoredEvent[]): StoredEvent[] {
  const isSamePlace = (a: Placed, b: Placed) => a.type === b.type && a.state_key === b.state_key
  return others.filter(({ pdu }) => state.some((one) => isSamePlace(one, pdu)))
}

async function otherRoomsEvents(telling: Telling): Promise<StoredEvent[]> {
  const others = telling.run.rooms.filter(({ roomId }) => roomId !== roomOf(telling))
  const found: StoredEvent[] = []
  for (const { roomId } of others) {
    found.push(...(await timelineOf({ ...telling, asked: inRoom(roomId, telling) })))
  }
  return found
}

function idsOf(view: StateView): EventId[] {
  return view.ids().map(({ eventId }) => eventId)
}

function textOf({ pdu }: StoredEvent): string {
  return Buffer.from(pdu.bytes).toString()
}
