/**
 * Checks the aliases in `m.room.canonical_alias` before it is sent.
 *
 * @module
 */

import type { RoomAlias, RoomId } from '#protocol/identifiers/ids.ts'
import { parseRoomAlias } from '#protocol/identifiers/room-alias.ts'
import type { Json, JsonObject } from '#protocol/json.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Server } from '#server.ts'

/** More aliases than this are not looked up for one event. */
const newAliasesMax = 100

/**
 * Servers SHOULD ensure that any new aliases being listed in the event are valid per their
 * grammar/syntax and that they point to the room ID where the state event is to be sent. Servers do
 * not validate aliases which are being removed or are already present in the state event.
 */
export async function checkCanonicalAlias(
  { rooms, aliases }: Pick<Server, 'aliases' | 'rooms'>,
  roomId: RoomId,
  content: JsonObject,
): Promise<void> {
  const state = await rooms.currentState(roomId)
  const before = await state?.event('m.room.canonical_alias', '')
  const known = new Set(aliasesIn(before?.content ?? {}))
  const added = [...new Set(aliasesIn(content))].filter((alias) => !known.has(alias))
  if (added.length > newAliasesMax) {
    throw new MatrixError(400, 'M_INVALID_PARAM', `More than ${newAliasesMax} aliases are new.`)
  }
  const sound = added.map(checkedAlias)
  for (const alias of sound) {
    if ((await targetOf({ aliases }, alias)) === roomId) continue
    throw new MatrixError(400, 'M_BAD_ALIAS', `The alias '${alias}' does not point to this room.`)
  }
}

/** Throws a 400 if the state of a new room names aliases that do not lead to it: but for its own, none do. */
export function checkAliasesOfNewRoom(content: JsonObject, own: RoomAlias | undefined): void {
  const other = aliasesIn(content).find((alias) => alias !== own)
  if (other === undefined) return
  const problem = `The alias ${JSON.stringify(other)} does not point to this room.`
  throw new MatrixError(400, 'M_INVALID_ROOM_STATE', problem)
}

function aliasesIn({ alias, alt_aliases }: JsonObject): Json[] {
  const others = Array.isArray(alt_aliases) ? (alt_aliases as readonly Json[]) : []
  // A canonical alias of nothing at all is how one is taken away.
  return [alias ?? '', ...others].filter((one) => one !== null && one !== '')
}

function checkedAlias(value: Json): RoomAlias {
  const alias = typeof value === 'string' ? parseRoomAlias(value) : undefined
  if (alias !== undefined) return alias
  throw new MatrixError(400, 'M_INVALID_PARAM', `${JSON.stringify(value)} is not a room alias.`)
}

async function targetOf(
  { aliases }: Pick<Server, 'aliases'>,
  alias: RoomAlias,
): Promise<RoomId | undefined> {
  try {
    return (await aliases.resolve(alias)).roomId
  } catch (error) {
    if (error instanceof MatrixError && error.errcode === 'M_NOT_FOUND') return undefined
    throw error
  }
}
