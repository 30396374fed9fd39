/**
 * Takes reports of rooms, events and users.
 *
 * @module
 */

import { reportEvent, reportRoom, reportUser } from '#endpoints/client-server/report-content.ts'
import { answer } from '#http/endpoint.ts'
import { serverNameOf } from '#protocol/identifiers/common-format.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Server } from '#server.ts'
import { visibleEvent } from '#sync/context.ts'
import { tryRoomAccess } from '#sync/room-access.ts'

type Needs = Pick<Server, 'rooms' | 'serverName' | 'users'>

export const reportRoutes = [
  answer(reportRoom, async ({ params: { roomId }, body, session }, needs: Needs) => {
    // Servers MUST NOT restrict room reports based on whether or not the reporting user is joined.
    if ((await needs.rooms.version(roomId)) === undefined) throw notFound('There is no such room.')
    await needs.users.reports.add(session.userId, { roomId }, body.reason)
    return {}
  }),
  answer(reportEvent, async ({ params, body, session }, { rooms, users }: Needs) => {
    const { roomId, eventId } = params
    const access = await tryRoomAccess(rooms, session.userId, roomId)
    if (access?.kind !== 'joined') throw notFound('There is no such event.')
    // Of what they may not see they are not told that it is there.
    await visibleEvent(rooms, access, eventId)
    await users.reports.add(session.userId, { roomId, eventId }, body.reason ?? '')
    return {}
  }),
  answer(reportUser, async ({ params: { userId }, body, session }, needs: Needs) => {
    const isLocal = serverNameOf(userId) === needs.serverName
    if (isLocal && (await needs.users.accounts.account(userId)) === undefined) {
      throw notFound('There is no such user.')
    }
    await needs.users.reports.add(session.userId, { userId }, body.reason)
    return {}
  }),
]

function notFound(sentence: string): MatrixError {
  return new MatrixError(404, 'M_NOT_FOUND', sentence)
}
