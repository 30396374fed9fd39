/**
 * What users may still do while they are suspended, where it depends on more than the endpoint.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#account-suspension
 *
 * @module
 */

import type { Session } from '#http/endpoint.ts'
import type { EventId, RoomId } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Server } from '#server.ts'

/** Refuses a suspended user. */
function refuseSuspended({ suspended }: Pick<Session, 'suspended'>): void {
  if (!suspended) return
  throw new MatrixError(403, 'M_USER_SUSPENDED', 'You cannot do this while you are suspended.')
}

/** They may redact their own events, and nothing else that is sent. */
export async function checkSuspendedSending(
  { rooms }: Pick<Server, 'rooms'>,
  session: Session,
  { roomId, redacts }: { readonly roomId: RoomId; readonly redacts: EventId | undefined },
): Promise<void> {
  if (!session.suspended) return
  const target = redacts === undefined ? undefined : await rooms.event(roomId, redacts)
  if (target?.pdu.sender !== session.userId) refuseSuspended(session)
}

/** They may leave a room and reject an invite by setting their own membership. */
export function checkSuspendedState(
  session: Session,
  event: { readonly type: string; readonly stateKey: string; readonly content: JsonObject },
): void {
  const isOwn = event.type === 'm.room.member' && event.stateKey === session.userId
  if (!isOwn || event.content.membership !== 'leave') refuseSuspended(session)
}
