/**
 * Whom to turn to about a server.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#getwell-knownmatrixsupport
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

const contact = t.object({
  matrix_id: t.optional(t.userId),
  email_address: t.optional(t.string()),
  role: t.string(),
})

/** `GET /.well-known/matrix/support` */
export const getWellknownSupport = endpoint({
  operationId: 'getWellknownSupport',
  method: 'GET',
  path: '/.well-known/matrix/support',
  auth: 'none',
  response: t.object({
    contacts: t.optional(t.array(contact)),
    support_page: t.optional(t.string()),
  }),
})
