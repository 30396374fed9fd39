/**
 * Rooms for tests: events of any room version, made as a server would make them but for hashes and
 * signatures, which neither auth rules nor state resolution look at.
 *
 * @module
 */

import { selectAuthEvents } from '#protocol/auth-rules/auth-events.ts'
import { type AuthState, authStateOf } from '#protocol/auth-rules/auth-state.ts'
import type { EventId, RoomId, UserId } from '#protocol/identifiers/ids.ts'
import type { Json, JsonObject } from '#protocol/json.ts'
import type { Pdu } from '#protocol/pdu.ts'
import { type RoomVersion, roomVersions } from '#protocol/room-version.ts'

/** What a test says of an event; the rest follows from the world. */
export interface EventSketch {
  readonly type: string
  readonly sender: UserId
  readonly state_key?: string | undefined
  readonly content?: JsonObject
  readonly prev_events?: readonly EventId[]
  readonly auth_events?: readonly EventId[]
  readonly origin_server_ts?: number
  readonly depth?: number
  readonly redacts?: EventId
  readonly event_id?: EventId
  readonly room_id?: RoomId
}

/** The room version of this name. */
export function versionNamed(id: string): RoomVersion {
  const version = roomVersions.get(id)
  if (version === undefined) throw new Error(`there is no room version ${id}`)
  return version
}

/** One room, and a clock of its own. */
export class RoomWorld {
  readonly version: RoomVersion
  readonly creator: UserId
  readonly events = new Map<EventId, Pdu>()
  #state = new Map<string, Pdu>()
  #made = 0
  #roomId: RoomId

  constructor(version: RoomVersion, { creator = '@creator:a' as UserId } = {}) {
    this.version = version
    this.creator = creator
    this.#roomId = `!room:${creator.slice(creator.indexOf(':') + 1)}`
  }

  get roomId(): RoomId {
    return this.#roomId
  }

  /** The current state. */
  get state(): AuthState {
    return authStateOf(this.#state.values())
  }

  /** The current state's events. */
  stateEvents(): Pdu[] {
    return [...this.#state.values()]
  }

  /** An event that is made and not sent. Its auth events are selected from the current state. */
  make(sketch: EventSketch): Pdu {
    const { version } = this
    const made = ++this.#made
    const event_id = sketch.event_id ?? this.#eventId(made, sketch.sender)
    const isCreateOfHashedRoom = version.roomIdIsCreateEventId && sketch.type === 'm.room.create'
    const room_id = isCreateOfHashedRoom ? (`!${event_id.slice(1)}` as const) : this.#roomId
    const content = sketch.content ?? {}
    const subject = { ...sketch, version, content } as Pdu
    const auth = sketch.auth_events ?? selectAuthEvents(subject, this.state).map((e) => e.event_id)
    const fields = {
      room_id: sketch.room_id ?? room_id,
      type: sketch.type,
      ...(sketch.state_key === undefined ? {} : { state_key: sketch.state_key }),
      sender: sketch.sender,
      depth: sketch.depth ?? made,
      origin_server_ts: sketch.origin_server_ts ?? made,
      prev_events: sketch.prev_events ?? this.#last(),
      auth_events: auth,
      content,
      ...(sketch.redacts === undefined ? {} : { redacts: sketch.redacts }),
    }
    const { room_id: _roomId, ...withoutRoomId } = fields
    const json = isCreateOfHashedRoom && sketch.room_id === undefined ? withoutRoomId : fields
    const pdu: Pdu = {
      version,
      event_id,
      ...fields,
      json: json as unknown as JsonObject,
      bytes: new Uint8Array(),
    }
    return pdu
  }

  /** Makes an event and puts it into the room, without asking whether it is allowed. */
  send(sketch: EventSketch): Pdu {
    const pdu = this.make(sketch)
    return this.put(pdu)
  }

  /** Puts an event into the room. */
  put(pdu: Pdu): Pdu {
    if (pdu.type === 'm.room.create') this.#roomId = pdu.room_id
    this.events.set(pdu.event_id, pdu)
    if (pdu.state_key !== undefined) this.#state.set(`${pdu.type}\0${pdu.state_key}`, pdu)
    return pdu
  }

  /** Takes a state event away, as if it had never been sent. */
  forget(type: string, stateKey = ''): void {
    this.#state.delete(`${type}\0${stateKey}`)
  }

  /** The create event, and the creator's join. */
  create(content: JsonObject = {}): Pdu {
    const { creator, version } = this
    const create = this.send({
      type: 'm.room.create',
      sender: creator,
      state_key: '',
      prev_events: [],
      content: {
        room_version: version.id,
        ...(version.creatorIsSender ? {} : { creator }),
        ...content,
      },
    })
    this.member(creator, 'join')
    return create
  }

  member(target: UserId, membership: Json, sender: UserId = target, content: JsonObject = {}): Pdu {
    const all = { ...content, membership }
    return this.send({ type: 'm.room.member', sender, state_key: target, content: all })
  }

  joinRule(join_rule: Json): Pdu {
    return this.stateEvent('m.room.join_rules', { join_rule })
  }

  powerLevels(content: JsonObject): Pdu {
    return this.stateEvent('m.room.power_levels', content)
  }

  stateEvent(
    type: string,
    content: JsonObject,
    { state_key = '', sender = this.creator } = {},
  ): Pdu {
    return this.send({ type, sender, state_key, content })
  }

  #last(): EventId[] {
    const last = [...this.events.keys()].at(-1)
    return last === undefined ? [] : [last]
  }

  #eventId(made: number, sender: UserId): EventId {
    if (this.version.eventId === 'in-event')
      return `$e${made}:${sender.slice(sender.indexOf(':') + 1)}`
    return `$${String(made).padStart(4, '0').padEnd(43, 'A')}`
  }
}
