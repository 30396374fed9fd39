/**
 * The page that the link of a mail leads to.
 *
 * It is asked for by whoever looks into mails, programs too. So it changes nothing: only what is sent
 * from it does.
 *
 * @module
 */

import { endpoint } from '#http/endpoint.ts'
import * as t from '#schema/schema.ts'

const page = {
  path: '/_hansa/client/v1/confirm_address',
  auth: 'none',
  query: { sid: t.string({ max: 255 }), token: t.string({ max: 255 }) },
  response: t.unknown(),
} as const

/** `GET /_hansa/client/v1/confirm_address` */
export const showConfirmAddress = endpoint({
  operationId: 'hansaShowConfirmAddress',
  method: 'GET',
  ...page,
})

/** `POST /_hansa/client/v1/confirm_address` */
export const confirmAddress = endpoint({
  operationId: 'hansaConfirmAddress',
  method: 'POST',
  ...page,
})
