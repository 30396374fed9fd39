/**
 * Shows other servers our spaces.
 *
 * @module
 */

import { getSpaceHierarchy } from '#endpoints/server-server/space-hierarchy.ts'
import { answer } from '#http/endpoint.ts'
import type { Server } from '#server.ts'

export const spaceHierarchyRoute = answer(
  getSpaceHierarchy,
  async ({ origin, params: { roomId }, query }, { spaces }: Pick<Server, 'spaces'>) => {
    const suggestedOnly = query.suggested_only ?? false
    return await spaces.levelForServer(origin, { roomId, suggestedOnly })
  },
)
