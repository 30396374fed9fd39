/**
 * Lets administrators shut rooms and servers out.
 *
 * @module
 */

import { addBlock, getBlocks, liftBlock } from '#endpoints/admin/blocks.ts'
import { answer, type Route } from '#http/endpoint.ts'
import type { RoomId, ServerName } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import { parseBlocked } from '#rooms/blocks.ts'
import type { Server } from '#server.ts'

type Needs = Pick<Server, 'blocks' | 'serverName'>

export const blockRoutes: readonly Route<Needs>[] = [
  answer(getBlocks, async (_, { blocks }) => ({ blocks: await blocks.list() })),
  answer(addBlock, async ({ params, body: { reason = '' } }, { blocks, serverName }) => {
    const name = named(params.name)
    if (name === serverName) {
      throw new MatrixError(400, 'M_INVALID_PARAM', 'A server cannot shut itself out.')
    }
    await blocks.add(name, reason)
    return {}
  }),
  answer(liftBlock, async ({ params }, { blocks }) => {
    if (await blocks.lift(named(params.name))) return {}
    throw new MatrixError(404, 'M_NOT_FOUND', 'That is not blocked.')
  }),
]

function named(text: string): RoomId | ServerName {
  const name = parseBlocked(text)
  if (name !== undefined) return name
  throw new MatrixError(400, 'M_INVALID_PARAM', 'What is blocked is a room ID or a server name.')
}
