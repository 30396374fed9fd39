/**
 * Asking for a message that shows that an address is one's own.
 *
 * @module
 */

import * as t from '#schema/schema.ts'

const common = {
  client_secret: t.string({ min: 1, max: 255 }),
  send_attempt: t.integer(),
  next_link: t.optional(t.string({ max: 2_048 })),
  id_server: t.optional(t.string({ max: 255 })),
  id_access_token: t.optional(t.string({ max: 1_000 })),
}

export const emailRequest = t.object({ ...common, email: t.string({ max: 500 }) })

export const phoneRequest = t.object({
  ...common,
  country: t.string({ max: 2 }),
  phone_number: t.string({ max: 50 }),
})

export const requestedToken = t.object({ sid: t.string(), submit_url: t.optional(t.string()) })
