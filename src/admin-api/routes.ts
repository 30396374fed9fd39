/**
 * All that administrators, and their tools, can ask.
 *
 * @module
 */

import type { Route } from '#http/endpoint.ts'
import type { Server } from '#server.ts'
import { blockRoutes } from './blocks.ts'
import { eventRoutes } from './events.ts'
import { outboxQuarantineRoutes } from './outbox-quarantine.ts'
import { pageRoutes } from './page.ts'
import { partialRoomRoutes } from './partial-rooms.ts'
import { pressureRoutes } from './pressure.ts'
import { refusedEventsRoute } from './refused-events.ts'
import { registerRoutes } from './register.ts'
import { reportRoutes } from './reports.ts'
import { roomComparisonRoutes } from './room-comparison.ts'
import { roomRemovalRoutes } from './room-removal.ts'
import { roomRoutes } from './rooms.ts'
import { viewRoutes } from './views.ts'
import { waitingEventRoutes } from './waiting-events.ts'

export const adminRoutes: readonly Route<Server>[] = [
  ...registerRoutes,
  ...roomRoutes,
  ...waitingEventRoutes,
  ...partialRoomRoutes,
  ...eventRoutes,
  ...roomComparisonRoutes,
  ...roomRemovalRoutes,
  ...outboxQuarantineRoutes,
  refusedEventsRoute,
  ...pressureRoutes,
  ...blockRoutes,
  ...reportRoutes,
  ...pageRoutes,
  ...viewRoutes,
]
