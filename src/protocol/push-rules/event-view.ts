/**
 * An event as push rules look at it, whoever they are of. What is found out for one user need not be
 * found out again for the next.
 *
 * @module
 */

import { levelIn, userLevel } from '../auth-rules/room-levels.ts'
import type { Json, JsonObject } from '../json.ts'
import type { Pdu } from '../pdu.ts'
import { parsePropertyPath, propertyAt } from '../property-path.ts'
import type { CommonRules, ReadyRule } from './evaluate.ts'
import { type Characters, charactersOf } from './text-pattern.ts'

/** What push rules ask of a room. */
export interface RoomFacts {
  readonly memberCount: number
  readonly create: Pdu | undefined
  readonly powerLevels: Pdu | undefined
}

/** What a notification takes if the power levels do not say it. */
const notificationLevelDefault = 50

/** What is looked at of an event. */
export type ViewedEvent = Pick<
  Pdu,
  | 'content'
  | 'event_id'
  | 'origin_server_ts'
  | 'redacts'
  | 'room_id'
  | 'sender'
  | 'state_key'
  | 'type'
>

export class EventView {
  readonly sender: string
  readonly roomId: string
  readonly room: RoomFacts
  /**
   * Who is subscribed to the thread that the event is in, of those who subscribe to threads at all.
   * Empty for an event in no thread.
   */
  readonly subscriptions: ReadonlyMap<string, boolean>
  /** Whether rules match that do so for everybody or for nobody. */
  readonly answers = new Map<object, boolean>()
  /** What rules say that many users have in common. */
  readonly commonAnswers = new Map<CommonRules, ReadyRule | 'own' | undefined>()
  readonly #event: JsonObject
  readonly #properties = new Map<string, Json | undefined>()
  readonly #texts = new Map<string, string | undefined>()
  readonly #characters = new Map<string, Characters>()

  constructor(
    pdu: ViewedEvent,
    room: RoomFacts,
    subscriptions: ReadonlyMap<string, boolean> = new Map(),
  ) {
    this.subscriptions = subscriptions
    this.sender = pdu.sender
    this.roomId = pdu.room_id
    this.room = room
    this.#event = {
      type: pdu.type,
      sender: pdu.sender,
      room_id: pdu.room_id,
      event_id: pdu.event_id,
      origin_server_ts: pdu.origin_server_ts,
      content: pdu.content,
      ...(pdu.state_key !== undefined && { state_key: pdu.state_key }),
      ...(pdu.redacts !== undefined && { redacts: pdu.redacts }),
    }
  }

  /** What stands at a path of dots; `undefined` if nothing does. */
  property(path: string): Json | undefined {
    return this.#properties.getOrInsertComputed(path, () =>
      propertyAt(this.#event, parsePropertyPath(path)),
    )
  }

  /** The text at a path, in lower case; `undefined` if there is none. */
  text(path: string): string | undefined {
    if (!this.#texts.has(path)) {
      const value = this.property(path)
      this.#texts.set(path, typeof value === 'string' ? value.toLowerCase() : undefined)
    }
    return this.#texts.get(path)
  }

  /** The same text, ready for patterns. */
  characters(path: string): Characters | undefined {
    const text = this.text(path)
    if (text === undefined) return undefined
    return this.#characters.getOrInsertComputed(path, () => charactersOf(text))
  }

  /** Whether the sender's power is enough for notifications of a type, such as `room`. */
  senderMayNotify(type: string): boolean {
    const { create, powerLevels } = this.room
    const required = powerLevels && levelIn(powerLevels, 'notifications', type)
    return userLevel(create, powerLevels, this.sender) >= (required ?? notificationLevelDefault)
  }
}
