/**
 * A room as a played server has it: a graph of events of its own, with the state before each of them.
 * It knows no auth rules and resolves no states: whoever plays it sees to it that it is as it should
 * be, or as it should not.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { selectAuthEvents } from '../../src/protocol/auth-rules/auth-events.ts'
import { authStateOf } from '../../src/protocol/auth-rules/auth-state.ts'
import { referenceTo } from '../../src/protocol/build-pdu.ts'
import type { EventId, RoomId, UserId } from '../../src/protocol/identifiers/ids.ts'
import type { JsonObject } from '../../src/protocol/json.ts'
import { parsePdu } from '../../src/protocol/parse-pdu.ts'
import type { Pdu } from '../../src/protocol/pdu.ts'
import type { RoomVersion } from '../../src/protocol/room-version.ts'
import type { Signer } from '../../src/rooms/remote-servers.ts'
import { type RawEvent, sealed, textOf } from './forged-event.ts'

/** What is set where, by type and state key. */
type State = ReadonlyMap<string, Pdu>

interface Placed {
  readonly pdu: Pdu
  readonly before: State
}

export interface Place {
  readonly stateKey?: string | undefined
  /** The events that it follows; by default the last ones of the room. */
  readonly after?: readonly EventId[] | undefined
}

const keyOf = (type: string, stateKey: string) => `${type}\0${stateKey}`

export class PeerRoom {
  readonly version: RoomVersion
  readonly roomId: RoomId
  /** The last events of the graph. */
  ends: readonly EventId[] = []
  readonly #signer: Signer
  readonly #now: () => number
  readonly #events = new Map<EventId, Placed>()
  #made = 0

  private constructor(
    version: RoomVersion,
    roomId: RoomId,
    { signer, now }: { readonly signer: Signer; readonly now: () => number },
  ) {
    this.version = version
    this.roomId = roomId
    this.#signer = signer
    this.#now = now
  }

  /** A room of a played user's, with the usual first events. */
  static create(
    version: RoomVersion,
    creator: UserId,
    by: { readonly signer: Signer; readonly now: () => number },
    { joinRules = { join_rule: 'public' } as JsonObject, tag = 'r' } = {},
  ): PeerRoom {
    const { signer, now } = by
    const content = {
      room_version: version.id,
      ...(version.creatorIsSender ? {} : { creator }),
      tag,
    }
    const roomId = `!${tag}:${signer.serverName}`
    const create: RawEvent = {
      ...(version.eventId === 'in-event' ? { event_id: `$${tag}:${signer.serverName}` } : {}),
      ...(version.roomIdIsCreateEventId ? {} : { room_id: roomId }),
      type: 'm.room.create',
      state_key: '',
      sender: creator,
      content,
      depth: 1,
      origin_server_ts: now(),
      prev_events: [],
      auth_events: [],
    }
    const first = pduOf(version, sealed(version, create, signer))
    const room = new PeerRoom(version, first.room_id, by)
    room.#place(first)
    room.add(room.draft(creator, 'm.room.member', { membership: 'join' }, { stateKey: creator }))
    const users = version.privilegedCreators ? {} : { [creator]: 100 }
    room.add(room.draft(creator, 'm.room.power_levels', { users }, { stateKey: '' }))
    room.add(room.draft(creator, 'm.room.join_rules', joinRules, { stateKey: '' }))
    return room
  }

  /** An event at its place in the graph, neither hashed nor signed. */
  draft(sender: UserId, type: string, content: JsonObject, place: Place = {}): RawEvent {
    const { version, roomId } = this
    const { stateKey, after = this.ends } = place
    const parents = after.map((eventId) => this.#placed(eventId))
    const [first] = parents
    const state = first === undefined ? new Map<string, Pdu>() : afterOf(first)
    const key = stateKey === undefined ? {} : { state_key: stateKey }
    const subject = { version, type, sender, content, ...key }
    const auth = selectAuthEvents(subject, authStateOf(state.values()))
    this.#made += 1
    return {
      ...(version.eventId === 'in-event'
        ? { event_id: `$e${this.#made}.${this.ends.length}:${this.#signer.serverName}` }
        : {}),
      room_id: roomId,
      type,
      ...key,
      sender,
      content,
      depth: Math.max(...parents.map(({ pdu }) => pdu.depth)) + 1,
      origin_server_ts: this.#now() + this.#made,
      prev_events: parents.map(({ pdu }) => this.reference(pdu)),
      auth_events: auth.map((pdu) => this.reference(pdu)),
    }
  }

  /** How an event names another in this room. */
  reference(pdu: Pdu): unknown {
    const { event_id, sha256 } = referenceTo(pdu)
    return this.version.referencesHaveHashes ? [event_id, { sha256 }] : event_id
  }

  /** Seals an event and puts it into the graph, at its end. */
  add(draft: RawEvent): Pdu {
    const pdu = pduOf(this.version, sealed(this.version, draft, this.#signer))
    this.#place(pdu)
    return pdu
  }

  /**
   * The same for an event that follows others than it says, or than are here: the state before it is
   * that after `after`, and the room does not end with it.
   */
  addUnplaced(draft: RawEvent, after: readonly EventId[]): Pdu {
    const pdu = pduOf(this.version, sealed(this.version, draft, this.#signer))
    const [first] = after
    const before = first === undefined ? new Map<string, Pdu>() : afterOf(this.#placed(first))
    this.#events.set(pdu.event_id, { pdu, before })
    return pdu
  }

  /** Puts an event of another server into the graph, if what it follows is there. */
  take(bytes: Uint8Array): boolean {
    const parsed = parsePdu(this.version, bytes)
    if (!parsed.ok || this.#events.has(parsed.pdu.event_id)) return false
    if (!parsed.pdu.prev_events.every((eventId) => this.#events.has(eventId))) return false
    this.#place(parsed.pdu)
    return true
  }

  event(eventId: string): Pdu | undefined {
    return this.#events.get(eventId as EventId)?.pdu
  }

  /** The state before an event; after the last ones of the room if none is named. */
  state(before?: string): readonly Pdu[] {
    const [end = assert.fail()] = this.ends
    const named = before === undefined ? undefined : this.#events.get(before as EventId)
    return [...(named?.before ?? afterOf(this.#placed(end))).values()]
  }

  /** The auth chains of events, without these. */
  authChain(events: readonly Pdu[]): Pdu[] {
    const chain = new Map<EventId, Pdu>()
    const border = events.flatMap(({ auth_events }) => auth_events)
    for (let eventId = border.pop(); eventId !== undefined; eventId = border.pop()) {
      const pdu = this.event(eventId)
      if (pdu === undefined || chain.has(eventId)) continue
      chain.set(eventId, pdu)
      border.push(...pdu.auth_events)
    }
    return [...chain.values()]
  }

  /** Events and what precedes them, the latest first. */
  before(from: readonly string[], limit: number): Pdu[] {
    const walked = new Map<EventId, Pdu>()
    let border = from.flatMap((eventId) => this.event(eventId) ?? [])
    while (border.length > 0 && walked.size < limit) {
      border = border.toSorted((a, b) => b.depth - a.depth)
      const next = border.shift()
      if (next === undefined || walked.has(next.event_id)) continue
      walked.set(next.event_id, next)
      border.push(...next.prev_events.flatMap((eventId) => this.event(eventId) ?? []))
    }
    return [...walked.values()]
  }

  #placed(eventId: EventId): Placed {
    return this.#events.get(eventId) ?? assert.fail(`${eventId} is not in the room`)
  }

  #place(pdu: Pdu): void {
    const [first] = pdu.prev_events
    const before = first === undefined ? new Map<string, Pdu>() : afterOf(this.#placed(first))
    this.#events.set(pdu.event_id, { pdu, before })
    this.ends = [...this.ends.filter((end) => !pdu.prev_events.includes(end)), pdu.event_id]
  }
}

function afterOf({ pdu, before }: Placed): State {
  if (pdu.state_key === undefined) return before
  return new Map(before).set(keyOf(pdu.type, pdu.state_key), pdu)
}

function pduOf(version: RoomVersion, event: RawEvent): Pdu {
  const parsed = parsePdu(version, Buffer.from(textOf(event)))
  assert.ok(parsed.ok, parsed.ok ? '' : parsed.reason)
  return parsed.pdu
}
