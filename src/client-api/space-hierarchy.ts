/**
 * Shows the trees of spaces.
 *
 * @module
 */

import { getSpaceHierarchy } from '#endpoints/client-server/space-hierarchy.ts'
import { answer } from '#http/endpoint.ts'
import type { Server } from '#server.ts'

export const spaceHierarchyRoute = answer(
  getSpaceHierarchy,
  async ({ params: { roomId }, query, session }, { spaces }: Pick<Server, 'spaces'>) =>
    await spaces.hierarchy(session.userId, roomId, query),
)
