/**
 * Says what lies beyond bridges. Application services are what bridges are made of, and there are none
 * here: there are no protocols, and nobody and nothing beyond them.
 *
 * @module
 */

import {
  getProtocolMetadata,
  getProtocols,
  queryLocationByAlias,
  queryLocationByProtocol,
  queryUserByID,
  queryUserByProtocol,
} from '#endpoints/client-server/third-party-lookup.ts'
import { answer } from '#http/endpoint.ts'
import { MatrixError } from '#protocol/matrix-error.ts'

/** The protocol was not found, or the alias, or the user. */
async function notFound(): Promise<never> {
  throw new MatrixError(404, 'M_NOT_FOUND', 'No bridge of this server leads there.')
}

export const thirdPartyLookupRoutes = [
  answer(getProtocols, async () => ({})),
  answer(getProtocolMetadata, notFound),
  answer(queryLocationByProtocol, notFound),
  answer(queryUserByProtocol, notFound),
  answer(queryLocationByAlias, notFound),
  answer(queryUserByID, notFound),
]
