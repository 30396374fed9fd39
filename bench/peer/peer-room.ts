/**
 * A room of a scripted server: every event of it is built and signed ahead, so that nothing of that
 * is part of what is measured.
 *
 * Its history is a line: each event's parent is the one before it.
 *
 * @module
 */

import { selectAuthEvents } from '#protocol/auth-rules/auth-events.ts'
import { authStateOf } from '#protocol/auth-rules/auth-state.ts'
import { buildPdu, type EventDraft, referenceTo } from '#protocol/build-pdu.ts'
import type { EventId, RoomId, UserId } from '#protocol/identifiers/ids.ts'
import { roomIdOfCreateEvent } from '#protocol/identifiers/room-id.ts'
import type { JsonObject } from '#protocol/json.ts'
import type { Pdu } from '#protocol/pdu.ts'
import type { RoomVersion } from '#protocol/room-version.ts'
import type { Signer } from '#rooms/remote-servers.ts'

/** When the first event of a room was made; the others follow by a millisecond each. */
const firstTs = 1_700_000_000_000

const messageBody = 'lorem ipsum dolor sit amet '.repeat(14)

let rooms = 0

export class PeerRoom {
  readonly version: RoomVersion
  readonly creator: UserId
  readonly #signer: Signer
  readonly #events = new Map<EventId, Pdu>()
  readonly #state = new Map<string, Pdu>()
  #roomId: RoomId | undefined
  #last: Pdu | undefined

  /** A public room with the state that any room begins with. */
  constructor(signer: Signer, version: RoomVersion) {
    this.version = version
    this.#signer = signer
    this.creator = `@creator:${signer.serverName}`
    const { creator } = this
    rooms += 1
    if (!version.roomIdIsCreateEventId) this.#roomId = `!room${rooms}:${signer.serverName}`
    // The number keeps two rooms of version 12, whose ID is a hash, from being one.
    const create = { room_version: version.id, 'org.hansa.bench': rooms }
    this.add(creator, 'm.room.create', create, '')
    this.add(creator, 'm.room.member', { membership: 'join' }, creator)
    const users = version.roomIdIsCreateEventId ? {} : { [creator]: 100 }
    this.add(creator, 'm.room.power_levels', { users }, '')
    this.add(creator, 'm.room.join_rules', { join_rule: 'public' }, '')
    this.add(creator, 'm.room.history_visibility', { history_visibility: 'shared' }, '')
  }

  get roomId(): RoomId {
    return defined(this.#roomId)
  }

  get last(): Pdu {
    return defined(this.#last)
  }

  get state(): Pdu[] {
    return [...this.#state.values()]
  }

  event(eventId: EventId): Pdu | undefined {
    return this.#events.get(eventId)
  }

  /** Builds the next event of a user of the scripted server. */
  add(sender: UserId, type: string, content: JsonObject, stateKey?: string): Pdu {
    const draft = this.draft(sender, type, content, stateKey)
    const built = buildPdu(this.version, draft, this.#signer)
    if (!built.ok) throw new Error(built.reason)
    this.#roomId ??= roomIdOfCreateEvent(built.pdu.event_id)
    this.take(built.pdu)
    return built.pdu
  }

  /** A message of about a kilobyte. */
  addMessage(): Pdu {
    const body = `${this.#events.size} ${messageBody}`
    return this.add(this.creator, 'm.room.message', { msgtype: 'm.text', body })
  }

  /** Further users of the scripted server who are in the room. */
  addMembers(count: number): void {
    for (let index = 0; index < count; index++) {
      const user: UserId = `@user${index}:${this.#signer.serverName}`
      const content = { membership: 'join', displayname: `User number ${index}` }
      this.add(user, 'm.room.member', content, user)
    }
  }

  /** A user of another scripted server who is in the room. */
  addMemberOf(signer: Signer): void {
    const user: UserId = `@user:${signer.serverName}`
    const draft = this.draft(user, 'm.room.member', { membership: 'join' }, user)
    const built = buildPdu(this.version, draft, signer)
    if (!built.ok) throw new Error(built.reason)
    this.take(built.pdu)
  }

  /** What the next event says, of a user of any server. */
  draft(sender: UserId, type: string, content: JsonObject, stateKey?: string): EventDraft {
    const { version } = this
    const key = stateKey === undefined ? {} : { state_key: stateKey }
    const state = ['m.room.create', 'm.room.power_levels', 'm.room.join_rules']
      .map((leading) => this.#state.get(keyOf(leading, '')))
      .concat(this.#state.get(keyOf('m.room.member', sender)))
      .filter((pdu) => pdu !== undefined)
    const auth = selectAuthEvents({ version, type, sender, content, ...key }, authStateOf(state))
    const last = this.#last
    return {
      ...(version.eventId === 'in-event'
        ? { event_id: `$${this.#events.size}:${this.#signer.serverName}` as const }
        : {}),
      ...(this.#roomId === undefined ? {} : { room_id: this.#roomId }),
      type,
      sender,
      content,
      ...key,
      depth: (last?.depth ?? 0) + 1,
      origin_server_ts: firstTs + this.#events.size,
      prev_events: last ? [referenceTo(last)] : [],
      auth_events: auth.map(referenceTo),
    }
  }

  /** Puts an event, also one of another server, at the end of the room. */
  take(pdu: Pdu): void {
    this.#events.set(pdu.event_id, pdu)
    if (pdu.state_key !== undefined) this.#state.set(keyOf(pdu.type, pdu.state_key), pdu)
    this.#last = pdu
  }

  /** The events that allow these, and those that allow them, and so on. */
  authChain(pdus: readonly Pdu[]): Pdu[] {
    const chain = new Map<EventId, Pdu>()
    const open = pdus.flatMap(({ auth_events }) => auth_events)
    for (let id = open.pop(); id !== undefined; id = open.pop()) {
      const pdu = this.#events.get(id)
      if (pdu === undefined || chain.has(id)) continue
      chain.set(id, pdu)
      open.push(...pdu.auth_events)
    }
    if (this.version.roomIdIsCreateEventId) {
      const create = defined(this.#state.get(keyOf('m.room.create', '')))
      chain.set(create.event_id, create)
    }
    return [...chain.values()]
  }

  /** Up to `limit` events that end with `latest`, but none before `earliest`; the oldest first. */
  before(latest: readonly EventId[], earliest: ReadonlySet<EventId>, limit: number): Pdu[] {
    const found = new Map<EventId, Pdu>()
    const open = [...latest]
    for (let id = open.shift(); id !== undefined && found.size < limit; id = open.shift()) {
      const pdu = this.#events.get(id)
      if (pdu === undefined || earliest.has(id) || found.has(id)) continue
      found.set(id, pdu)
      open.push(...pdu.prev_events)
    }
    return [...found.values()].reverse()
  }
}

function keyOf(type: string, stateKey: string): string {
  return JSON.stringify([type, stateKey])
}

function defined<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('the room has no events')
  return value
}
