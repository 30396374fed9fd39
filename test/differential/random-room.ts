/**
 * Rooms in which people quarrel: random event graphs with forks, power-level wars, bans, changing
 * join rules, restricted joins, third-party invites, and contents that mean nothing.
 *
 * Events are as on the wire, with real IDs. Whether one is rejected is what Hansa thinks; who compares
 * tells the other side.
 *
 * @module
 */

import {
  type AuthSubject,
  authEventKeys,
  checkAuthEvents,
} from '#protocol/auth-rules/auth-events.ts'
import { authStateOf } from '#protocol/auth-rules/auth-state.ts'
import { checkAuthRules } from '#protocol/auth-rules/check.ts'
import { ALLOW, type Verdict } from '#protocol/auth-rules/verdict.ts'
import type { EventId, RoomId, UserId } from '#protocol/identifiers/ids.ts'
import type { Json, JsonObject } from '#protocol/json.ts'
import { parsePdu } from '#protocol/parse-pdu.ts'
import type { Pdu } from '#protocol/pdu.ts'
import type { RoomVersion } from '#protocol/room-version.ts'
import { resolveState } from '#protocol/state-resolution/resolve-state.ts'
import { type SeededRandom, seededRandom } from '../../src/io/simulated/simulated-random.ts'
import { type Draft, randomAct, users } from './random-act.ts'

/** A room state by state key. */
export type State = ReadonlyMap<string, Pdu>

/** An event and what Hansa thinks of it, each time against another state. */
export interface RoomEvent {
  readonly pdu: Pdu
  readonly text: string
  readonly stateBefore: State
  readonly stateAfter: State
  readonly byList: Verdict
  readonly byAuthEvents: Verdict
  readonly byState: Verdict
  readonly isRejected: boolean
}

export interface Resolution {
  readonly states: readonly State[]
  readonly resolved: readonly EventId[]
}

export class RandomRoom {
  readonly version: RoomVersion
  readonly seed: number
  readonly events: RoomEvent[] = []
  readonly resolutions: Resolution[] = []
  readonly #dice: SeededRandom
  readonly #byId = new Map<EventId, RoomEvent>()
  /** Which part of the acts is malformed. */
  readonly #mischief: number
  #roomId: RoomId = '!room:a'

  constructor(version: RoomVersion, seed: number, { size = 24, mischief = 0 } = {}) {
    this.version = version
    this.seed = seed
    this.#mischief = mischief
    this.#dice = seededRandom(seed)
    this.#begin()
    const isRoom = this.events.length > 1
    for (let turn = 0; isRoom && turn < 10 * size && this.events.length < size; turn++) this.#turn()
    if (isRoom) this.#resolveSome()
  }

  #begin(): void {
    const dice = this.#dice
    const creator = users[0]
    const extra = randomCreateContent(this.version, dice, dice.happens(this.#mischief))
    const content = this.version.creatorIsSender ? extra : { creator, ...extra }
    const create = { type: 'm.room.create', state_key: '', sender: creator, content }
    const made = this.#add(create, [], new Map())
    // A room that was never made: its events are nobody's business.
    if (made === undefined || made.isRejected) return
    this.#roomId = made.pdu.room_id
    this.#follow({
      type: 'm.room.member',
      state_key: creator,
      sender: creator,
      content: { membership: 'join' },
    })
    if (dice.happens(0.85)) {
      const own = this.version.privilegedCreators ? {} : { [creator]: 100 }
      const levels = { users: { ...own, [users[1]]: dice.pick([50, 100]) } }
      this.#follow({ type: 'm.room.power_levels', state_key: '', sender: creator, content: levels })
    }
    if (dice.happens(0.9)) {
      const join_rule = dice.pick(['public', 'public', 'invite', 'restricted', 'knock'])
      this.#follow({
        type: 'm.room.join_rules',
        state_key: '',
        sender: creator,
        content: { join_rule },
      })
    }
  }

  /** The next of the first events, which follow one another. */
  #follow(draft: Draft): void {
    const last = this.events.at(-1)
    if (last !== undefined) this.#add(draft, [last], last.stateAfter)
  }

  #turn(): void {
    const dice = this.#dice
    const parents = this.#parents()
    const state = this.#stateAfter(parents)
    const draft = randomAct(this.version, state, dice, dice.happens(this.#mischief))
    // Most of what is not allowed would be found at once and teach nothing about state.
    const made = this.#make(draft, parents, state)
    if (made !== undefined && (!made.isRejected || dice.happens(0.15))) this.#keep(made)
  }

  /** One to three events that the next one follows, more often late ones. */
  #parents(): RoomEvent[] {
    const dice = this.#dice
    const parents = new Set<RoomEvent>()
    const count = dice.pick([1, 1, 1, 1, 2, 2, 3])
    for (let n = 0; n < count; n++) {
      const reach = Math.min(this.events.length, dice.pick([1, 1, 2, 4, 8, 30]))
      const event = this.events[this.events.length - 1 - dice.below(reach)]
      if (event !== undefined) parents.add(event)
    }
    return [...parents]
  }

  #stateAfter(parents: readonly RoomEvent[]): State {
    return this.#resolve(parents.map(({ stateAfter }) => stateAfter))
  }

  /** Resolves states of events that have no common child as well. */
  #resolveSome(): void {
    for (let n = 0; n < 4; n++) {
      const some = Array.from({ length: 2 + this.#dice.below(3) }, () =>
        this.#dice.pick(this.events),
      )
      this.#resolve(some.map(({ stateAfter }) => this.#withRejected(stateAfter)))
    }
  }

  /**
   * Now and then the state that somebody gives us who does not think that an event was rejected by the
   * state before it. Synapse looks at rejections from version 2 on.
   */
  #withRejected(state: State): State {
    if (this.version.stateResolution === 'v1') return state
    const rejected = this.events.filter(({ pdu, byList, byAuthEvents, byState }) => {
      return (
        byList.allowed && byAuthEvents.allowed && !byState.allowed && pdu.state_key !== undefined
      )
    })
    const { pdu } = rejected[this.#dice.below(rejected.length * 4)] ?? {}
    return pdu === undefined ? state : new Map([...state, [keyOf(pdu), pdu]])
  }

  #resolve(states: readonly State[]): State {
    const distinct = [...new Set(states)]
    const [only] = distinct
    if (distinct.length === 1 && only !== undefined) return only
    const ids = distinct.map((state) => Array.from(state.values(), ({ event_id }) => event_id))
    const resolved = resolveState(
      ids,
      (id) => this.#byId.get(id)?.pdu,
      (id) => this.#byId.get(id)?.isRejected ?? false,
    )
    this.resolutions.push({ states: distinct, resolved })
    const pdus = resolved.map((id) => this.#byId.get(id)?.pdu as Pdu)
    return new Map(pdus.map((pdu) => [keyOf(pdu), pdu]))
  }

  #add(draft: Draft, parents: readonly RoomEvent[], state: State): RoomEvent | undefined {
    const made = this.#make(draft, parents, state)
    return made === undefined ? undefined : this.#keep(made)
  }

  #keep(made: RoomEvent): RoomEvent | undefined {
    if (this.#byId.has(made.pdu.event_id)) return undefined
    this.events.push(made)
    this.#byId.set(made.pdu.event_id, made)
    return made
  }

  #make(draft: Draft, parents: readonly RoomEvent[], state: State): RoomEvent | undefined {
    const dice = this.#dice
    const { version } = this
    // Synapse takes a create event of version 12 that names a room for none at all, or for another.
    const isSecondCreate = draft.type === 'm.room.create' && this.events.length > 0
    if (isSecondCreate && version.roomIdIsCreateEventId) return undefined
    const subject: AuthSubject = { ...draft, version }
    let auth = authEventKeys(subject).flatMap(([type, key]) => state.get(`${type}|${key}`) ?? [])
    if (this.events.length > 0 && dice.happens(this.#mischief)) auth = this.#spoil(auth)
    const text = this.#write(draft, parents, auth)
    const parsed = parsePdu(version, Buffer.from(text))
    if (!parsed.ok) return undefined
    const { pdu } = parsed
    const isRejected = (e: Pdu) => this.#byId.get(e.event_id)?.isRejected ?? false
    const isFirst = pdu.type === 'm.room.create'
    const byList = checkAuthEvents(pdu, auth, isRejected)
    const implied = version.roomIdIsCreateEventId && this.events[0] ? [this.events[0].pdu] : []
    const byAuthEvents = checkAuthRules(pdu, authStateOf([...implied, ...auth]))
    const byState = isFirst ? ALLOW : checkAuthRules(pdu, authStateOf(state.values()))
    const rejected = !(byList.allowed && byAuthEvents.allowed && byState.allowed)
    const after = new Map(state)
    if (!rejected && pdu.state_key !== undefined) after.set(keyOf(pdu), pdu)
    return {
      pdu,
      text,
      stateBefore: state,
      stateAfter: pdu.state_key === undefined || rejected ? state : after,
      byList,
      byAuthEvents,
      byState,
      isRejected: rejected,
    }
  }

  /** A list of auth events that is not as it should be. */
  #spoil(auth: Pdu[]): Pdu[] {
    const dice = this.#dice
    const any = dice.pick(this.events)?.pdu
    const place = dice.below(Math.max(1, auth.length))
    switch (dice.below(4)) {
      case 0:
        return auth.toSpliced(place, 1)
      case 1:
        return any === undefined ? auth : [...auth, any]
      case 2: {
        // An older event, or another branch's, for the same key.
        const spoilt = auth[place]
        const others = this.events.map((event) => event.pdu)
        const same = others.filter((pdu) => spoilt !== undefined && keyOf(pdu) === keyOf(spoilt))
        return same.length === 0 ? auth : auth.with(place, dice.pick(same))
      }
      default:
        return auth.length === 0 ? auth : [...auth, dice.pick(auth)]
    }
  }

  #write(draft: Draft, parents: readonly RoomEvent[], auth: readonly Pdu[]): string {
    const { version } = this
    const number = this.events.length
    const reference = (id: EventId): Json =>
      version.referencesHaveHashes ? [id, { sha256: 'AA' }] : id
    const isCreate = draft.type === 'm.room.create' && number === 0
    const inEvent = version.eventId === 'in-event'
    const depth = 1 + Math.max(0, ...parents.map(({ pdu }) => pdu.depth))
    const redacts = draft.redacts && this.events[draft.redacts % Math.max(1, number)]?.pdu.event_id
    const event: JsonObject = {
      ...(inEvent
        ? { event_id: `$e${number}:${draft.sender.slice(draft.sender.indexOf(':') + 1)}` }
        : {}),
      ...(isCreate && version.roomIdIsCreateEventId ? {} : { room_id: this.#roomId }),
      type: draft.type,
      ...(draft.state_key === undefined ? {} : { state_key: draft.state_key }),
      sender: draft.sender,
      depth,
      origin_server_ts: 1000 + (draft.ts ?? number),
      prev_events: parents.map(({ pdu }) => reference(pdu.event_id)),
      auth_events: auth.map(({ event_id }) => reference(event_id)),
      content: draft.content,
      ...(redacts ? { redacts } : {}),
      hashes: {
        sha256: Buffer.from(`${this.seed}/${number}`.padEnd(32)).toString('base64').slice(0, 43),
      },
      signatures: {},
    }
    return JSON.stringify(event)
  }
}

function randomCreateContent(
  version: RoomVersion,
  dice: SeededRandom,
  isMischief: boolean,
): JsonObject {
  const additional: UserId[] = version.privilegedCreators && dice.happens(0.3) ? [users[2]] : []
  const plain: JsonObject = {
    room_version: version.id,
    ...(additional.length > 0 ? { additional_creators: additional } : {}),
  }
  if (!isMischief) return plain
  return dice.pick<JsonObject>([
    { ...plain, 'm.federate': false },
    { ...plain, 'm.federate': true },
    { ...plain, room_version: 'unheard-of' },
    { ...plain, additional_creators: ['nobody'] },
    { ...plain, additional_creators: 'nobody' },
  ])
}

export function keyOf({ type, state_key }: Pdu): string {
  return `${type}|${state_key}`
}
