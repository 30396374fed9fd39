/**
 * Tells which program this is.
 *
 * @module
 */

import { getVersion } from '#endpoints/server-server/version.ts'
import { answer } from '#http/endpoint.ts'
import type { Server } from '#server.ts'

export const versionRoute = answer(getVersion, async (_, { version }: Pick<Server, 'version'>) => ({
  server: { name: 'Hansa', version },
}))
