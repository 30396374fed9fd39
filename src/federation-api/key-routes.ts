/**
 * The operations by which servers find and know each other: served to anybody.
 *
 * @module
 */

import type { Route } from '#http/endpoint.ts'
import type { Server } from '#server.ts'
import { keyQueryRoute, keysQueryRoute } from './keys-query.ts'
import { serverKeyRoute } from './keys-server.ts'
import { versionRoute } from './version.ts'
import { wellKnownRoute } from './wellknown.ts'

export const keyRoutes: readonly Route<Server>[] = [
  keyQueryRoute,
  keysQueryRoute,
  serverKeyRoute,
  versionRoute,
  wellKnownRoute,
]
