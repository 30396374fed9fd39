/**
 * Tells our own keys.
 *
 * @module
 */

import { getServerKey } from '#endpoints/server-server/keys-server.ts'
import { answer } from '#http/endpoint.ts'
import type { Server } from '#server.ts'

export const serverKeyRoute = answer(
  getServerKey,
  async (_, { ownKeys }: Pick<Server, 'ownKeys'>) => ownKeys(),
)
