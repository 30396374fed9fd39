/**
 * What other servers say of a room in a list or a tree, read with care: what is not as it should be
 * is left out, and the whole room if that is needed.
 *
 * @module
 */

import { publicRoomFields } from '#endpoints/client-server/definitions/public-rooms.ts'
import { roomSummaryFields, spaceChild } from '#endpoints/client-server/definitions/room-summary.ts'
import type { RoomId } from '#protocol/identifiers/ids.ts'
import { isJsonObject, type Json, type JsonObject } from '#protocol/json.ts'
import { matches } from '#schema/check.ts'
import { object, type Static, type TSchema } from '#schema/schema.ts'

const publicRoom = object(publicRoomFields)
const roomSummary = object(roomSummaryFields)

export type RemotePublicRoom = Static<typeof publicRoom>
export type RemoteSpaceRoom = Static<typeof roomSummary> & {
  readonly children_state: readonly Static<typeof spaceChild>[]
}

/** Children of one space that are read. */
const childrenMax = 1_000

export function publicRoomOf(value: Json | undefined): RemotePublicRoom | undefined {
  return fieldsOf(publicRoomFields, value, publicRoom)
}

/** A room of a tree, with its children that lead somewhere. */
export function spaceRoomOf(
  value: Json | undefined,
  { suggestedOnly }: { readonly suggestedOnly: boolean },
): RemoteSpaceRoom | undefined {
  const room = fieldsOf(roomSummaryFields, value, roomSummary)
  if (room === undefined) return undefined
  const children = isJsonObject(value) ? listIn(value, 'children_state') : []
  return {
    ...room,
    children_state: children
      .slice(0, childrenMax)
      .filter((child) => matches(spaceChild, child))
      .filter(({ content }) => isVia(content.via) && (!suggestedOnly || content.suggested === true))
      .map(({ type, state_key, sender, content, origin_server_ts }) => {
        return { type, state_key, sender, content, origin_server_ts }
      }),
  }
}

/** A list in an answer; an empty one if there is none. */
export function listIn(answer: JsonObject, name: string): readonly Json[] {
  const list = Object.hasOwn(answer, name) ? answer[name] : undefined
  return Array.isArray(list) ? (list as readonly Json[]) : []
}

export function roomIdsIn(answer: JsonObject, name: string): RoomId[] {
  return listIn(answer, name).filter((one) => matches(roomSummaryFields.room_id, one))
}

function isVia(via: Json | undefined): boolean {
  if (!Array.isArray(via) || via.length === 0) return false
  return (via as readonly Json[]).every((server) => typeof server === 'string')
}

function fieldsOf<T extends TSchema>(
  fields: Readonly<Record<string, TSchema>>,
  value: Json | undefined,
  schema: T,
): Static<T> | undefined {
  if (!isJsonObject(value)) return undefined
  const known = Object.entries(fields).filter(
    ([name, field]) => Object.hasOwn(value, name) && matches(field, value[name]),
  )
  const object = Object.fromEntries(known.map(([name]) => [name, value[name]]))
  return matches(schema, object) ? object : undefined
}
