/**
 * How an event relates to another one of its room, as its content says.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#forming-relationships-between-events
 *
 * @module
 */

import { parseEventId } from './identifiers/event-id.ts'
import type { EventId } from './identifiers/ids.ts'
import { isJsonObject, type JsonObject } from './json.ts'
import type { Pdu } from './pdu.ts'

export interface Relation {
  readonly parentId: EventId
  readonly relType: string
  /** Of an `m.annotation`: what it says, such as an emoji. */
  readonly key: string | undefined
}

/** Types of relations, and keys of annotations, that are longer than this in UTF-16 units are none. */
const relTypeMax = 255
const keyMax = 1_000

/**
 * The relation that an event's content speaks of. Relationships which don't match the schema are
 * simply ignored: `undefined`, as for none. A rich reply alone has no type, and is none.
 */
export function relationOf(content: JsonObject): Relation | undefined {
  const relatesTo = content['m.relates_to']
  if (!isJsonObject(relatesTo)) return undefined
  const { rel_type: relType, event_id, key } = relatesTo
  if (typeof relType !== 'string' || relType.length > relTypeMax) return undefined
  const parentId = typeof event_id === 'string' ? parseEventId(event_id) : undefined
  if (parentId === undefined) return undefined
  const isKey = relType === 'm.annotation' && typeof key === 'string' && key.length <= keyMax
  return { parentId, relType, key: isKey ? key : undefined }
}

/**
 * Whether one event is a valid replacement of another in the same room. If any of these criteria are
 * not satisfied, implementations should ignore the replacement event.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#validity-of-replacement-events
 */
export function isReplacement(replacement: Pdu, original: Pdu): boolean {
  // The original event and replacement event must have the same `sender`.
  if (replacement.sender !== original.sender) return false
  // The replacement and original events must have the same `type`.
  if (replacement.type !== original.type) return false
  // The replacement and original events must not have a `state_key` property.
  if (replacement.state_key !== undefined || original.state_key !== undefined) return false
  // The original event must not, itself, have a `rel_type` of `m.replace`.
  if (relationOf(original.content)?.relType === 'm.replace') return false
  // The replacement event (once decrypted, if appropriate) must have an `m.new_content` property.
  return (
    replacement.type === 'm.room.encrypted' || Object.hasOwn(replacement.content, 'm.new_content')
  )
}
