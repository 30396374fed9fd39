/**
 * Keeps and gives backups of room keys.
 *
 * @module
 */

import {
  deleteRoomKeyBySessionId,
  deleteRoomKeys,
  deleteRoomKeysByRoomId,
  deleteRoomKeysVersion,
  getRoomKeyBySessionId,
  getRoomKeys,
  getRoomKeysByRoomId,
  getRoomKeysVersion,
  getRoomKeysVersionCurrent,
  postRoomKeysVersion,
  putRoomKeyBySessionId,
  putRoomKeys,
  putRoomKeysByRoomId,
  putRoomKeysVersion,
} from '#endpoints/client-server/key-backup.ts'
import { ByteAnswer } from '#http/byte-answer.ts'
import { answer, type ResponseOf } from '#http/endpoint.ts'
import type { RoomId } from '#protocol/identifiers/ids.ts'
import { parseRoomId } from '#protocol/identifiers/room-id.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Server } from '#server.ts'
import type { BackedUpKey } from '#users/end-to-end/key-backups.ts'

type Needs = Pick<Server, 'endToEnd'>

const versionRoutes = [
  answer(postRoomKeysVersion, async ({ session, body }, { endToEnd }: Needs) => ({
    version: await endToEnd.keyBackups.create(session.userId, body),
  })),
  answer(getRoomKeysVersionCurrent, ({ session }, { endToEnd }: Needs) =>
    endToEnd.keyBackups.describe(session.userId),
  ),
  answer(getRoomKeysVersion, ({ session, params }, { endToEnd }: Needs) =>
    endToEnd.keyBackups.describe(session.userId, params.version),
  ),
  answer(putRoomKeysVersion, async ({ session, params, body }, { endToEnd }: Needs) => {
    // If present, must be the same as the version in the path parameter.
    if (body.version !== undefined && body.version !== params.version) {
      throw new MatrixError(400, 'M_INVALID_PARAM', 'Two versions are named here.')
    }
    await endToEnd.keyBackups.update(session.userId, params.version, body)
    return {}
  }),
  answer(deleteRoomKeysVersion, async ({ session, params }, { endToEnd }: Needs) => {
    await endToEnd.keyBackups.delete(session.userId, params.version)
    return {}
  }),
]

const storingRoutes = [
  answer(putRoomKeyBySessionId, ({ session, params, query, body }, { endToEnd }: Needs) => {
    const keys = new Map([[params.roomId, { [params.sessionId]: body }]])
    return endToEnd.keyBackups.put(session.userId, query.version, keys)
  }),
  answer(putRoomKeysByRoomId, ({ session, params, query, body }, { endToEnd }: Needs) => {
    const keys = new Map([[params.roomId, body.sessions]])
    return endToEnd.keyBackups.put(session.userId, query.version, keys)
  }),
  answer(putRoomKeys, async ({ session, query, body }, { endToEnd }: Needs) => {
    const keys = Object.entries(body.rooms).map(([text, { sessions }]) => {
      const roomId = parseRoomId(text)
      if (roomId !== undefined) return [roomId, sessions] as const
      throw new MatrixError(400, 'M_INVALID_PARAM', `'${text.slice(0, 100)}' is no room ID.`)
    })
    return await endToEnd.keyBackups.put(session.userId, query.version, new Map(keys))
  }),
]

const readingRoutes = [
  answer(getRoomKeyBySessionId, async ({ session, params, query }, { endToEnd }: Needs) => {
    const { version } = query
    // It was checked when it was stored.
    const key = await endToEnd.keyBackups.key(session.userId, version, params)
    return key as ResponseOf<typeof getRoomKeyBySessionId>
  }),
  answer(getRoomKeysByRoomId, async ({ session, params, query }, { endToEnd }: Needs) => {
    const pages = await endToEnd.keyBackups.pages(session.userId, query.version, params)
    return streamed(sessionsText(pages))
  }),
  answer(getRoomKeys, async ({ session, query }, { endToEnd }: Needs) => {
    const pages = await endToEnd.keyBackups.pages(session.userId, query.version, {})
    return streamed(roomsText(pages))
  }),
]

const deletingRoutes = [
  answer(deleteRoomKeyBySessionId, ({ session, params, query }, { endToEnd }: Needs) =>
    endToEnd.keyBackups.deleteKeys(session.userId, query.version, params),
  ),
  answer(deleteRoomKeysByRoomId, ({ session, params, query }, { endToEnd }: Needs) =>
    endToEnd.keyBackups.deleteKeys(session.userId, query.version, params),
  ),
  answer(deleteRoomKeys, ({ session, query }, { endToEnd }: Needs) =>
    endToEnd.keyBackups.deleteKeys(session.userId, query.version, {}),
  ),
]

export const keyBackupRoutes = [
  ...versionRoutes,
  ...storingRoutes,
  ...readingRoutes,
  ...deletingRoutes,
]

/** A backup may have a hundred million bytes: it is written as it is read. */
function streamed(texts: AsyncIterable<string>): ByteAnswer {
  const headers = { 'content-type': 'application/json' }
  return new ByteAnswer({ status: 200, headers, body: bytesOf(texts) })
}

async function* bytesOf(texts: AsyncIterable<string>): AsyncGenerator<Uint8Array> {
  for await (const text of texts) yield Buffer.from(text)
}

async function* sessionsText(pages: AsyncIterable<readonly BackedUpKey[]>): AsyncGenerator<string> {
  let before = '{"sessions":{'
  for await (const page of pages) {
    yield before + page.map(memberText).join(',')
    before = ','
  }
  yield before === ',' ? '}}' : `${before}}}`
}

async function* roomsText(pages: AsyncIterable<readonly BackedUpKey[]>): AsyncGenerator<string> {
  let last: RoomId | undefined
  for await (const page of pages) {
    let text = ''
    for (const key of page) {
      if (key.roomId === last) text += `,${memberText(key)}`
      else {
        text += last === undefined ? '{"rooms":{' : '}},'
        text += `${JSON.stringify(key.roomId)}:{"sessions":{${memberText(key)}`
      }
      last = key.roomId
    }
    yield text
  }
  yield last === undefined ? '{"rooms":{}}' : '}}}}'
}

function memberText({ sessionId, json }: BackedUpKey): string {
  return `${JSON.stringify(sessionId)}:${json}`
}
