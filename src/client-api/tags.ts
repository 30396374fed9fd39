/**
 * Keeps the tags of rooms, which are account data of the type `m.tag`.
 *
 * @module
 */

import { deleteRoomTag, getRoomTags, setRoomTag } from '#endpoints/client-server/tags.ts'
import { answer } from '#http/endpoint.ts'
import type { RoomId } from '#protocol/identifiers/ids.ts'
import { isJsonObject, type JsonObject } from '#protocol/json.ts'
import type { Server } from '#server.ts'
import { checkOwnUser } from './own-user.ts'

type Needs = Pick<Server, 'users'>

const keyOf = (roomId: RoomId) => ({ roomId, type: 'm.tag' })

export const tagRoutes = [
  answer(getRoomTags, async ({ session, params }, { users }: Needs) => {
    checkOwnUser(session, params.userId)
    const content = await users.accountData.get(session.userId, params.roomId, 'm.tag')
    return { tags: tagsIn(content ?? {}) }
  }),
  answer(setRoomTag, async ({ session, params, body }, { users }: Needs) => {
    checkOwnUser(session, params.userId)
    await users.accountData.update(session.userId, keyOf(params.roomId), (content) => ({
      tags: { ...tagsIn(content), [params.tag]: body },
    }))
    return {}
  }),
  answer(deleteRoomTag, async ({ session, params }, { users }: Needs) => {
    checkOwnUser(session, params.userId)
    await users.accountData.update(session.userId, keyOf(params.roomId), (content) => {
      const { [params.tag]: _, ...tags } = tagsIn(content)
      return { tags }
    })
    return {}
  }),
]

function tagsIn(content: JsonObject): JsonObject {
  return isJsonObject(content.tags) ? content.tags : {}
}
