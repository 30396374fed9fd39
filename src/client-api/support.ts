/**
 * Tells whom to turn to about this server.
 *
 * @module
 */

import { getWellknownSupport } from '#endpoints/client-server/support.ts'
import { answer } from '#http/endpoint.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Server } from '#server.ts'

export const supportRoute = answer(
  getWellknownSupport,
  async (_, { support: { contacts, page } }: Pick<Server, 'support'>) => {
    // At least one of `contacts` or `support_page` is required. If only `contacts` is set, it must
    // contain at least one item.
    if (contacts.length === 0 && page === undefined) {
      throw new MatrixError(404, 'M_NOT_FOUND', 'This server names nobody to turn to.')
    }
    return {
      ...(contacts.length > 0 && { contacts }),
      ...(page !== undefined && { support_page: page }),
    }
  },
)
