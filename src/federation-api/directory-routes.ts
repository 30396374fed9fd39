/**
 * What other servers may see of our rooms without being in them.
 *
 * @module
 */

import type { Route } from '#http/endpoint.ts'
import type { Server } from '#server.ts'
import { publicRoomsRoute, searchPublicRoomsRoute } from './public-rooms.ts'
import { spaceHierarchyRoute } from './space-hierarchy.ts'

export const directoryRoutes: readonly Route<Pick<Server, 'publicRooms' | 'spaces'>>[] = [
  publicRoomsRoute,
  searchPublicRoomsRoute,
  spaceHierarchyRoute,
]
