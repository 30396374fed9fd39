/**
 * What proves a stage of user-interactive authentication: `definitions/auth_data.yaml`.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#user-interactive-authentication-api
 *
 * @module
 */

import * as t from '#schema/schema.ts'

/** Further fields depend on the type. */
export const authData = t.asJson(
  t.object({
    type: t.optional(t.string({ max: 255 })),
    session: t.optional(t.string({ max: 255 })),
  }),
)
