/**
 * Keeps account data for clients.
 *
 * @module
 */

import {
  getAccountData,
  getAccountDataPerRoom,
  setAccountData,
  setAccountDataPerRoom,
} from '#endpoints/client-server/account-data.ts'
import { answer, type Session } from '#http/endpoint.ts'
import type { RoomId, UserId } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Server } from '#server.ts'
import { checkOwnUser } from './own-user.ts'

type Needs = Pick<Server, 'users'>

export const accountDataRoutes = [
  answer(getAccountData, ({ session, params }, needs: Needs) => get(session, params, needs)),
  answer(getAccountDataPerRoom, ({ session, params }, needs: Needs) => get(session, params, needs)),
  answer(setAccountData, ({ session, params, body }, needs: Needs) =>
    set(session, params, body, needs),
  ),
  answer(setAccountDataPerRoom, ({ session, params, body }, needs: Needs) =>
    set(session, params, body, needs),
  ),
]

interface Place {
  readonly userId: UserId
  readonly roomId?: RoomId
  readonly type: string
}

async function get(session: Session, place: Place, { users }: Needs): Promise<JsonObject> {
  checkOwnUser(session, place.userId)
  const content = await users.accountData.get(session.userId, place.roomId, place.type)
  if (content !== undefined) return content
  throw new MatrixError(404, 'M_NOT_FOUND', 'There is no such account data.')
}

async function set(
  session: Session,
  { userId, roomId, type }: Place,
  content: JsonObject,
  { users }: Needs,
): Promise<Record<never, never>> {
  checkOwnUser(session, userId)
  await users.accountData.set(session.userId, { roomId, type, content })
  return {}
}
