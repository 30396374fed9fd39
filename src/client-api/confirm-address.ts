/**
 * Shows the page by which somebody confirms that an address is theirs.
 *
 * @module
 */

import { confirmAddress, showConfirmAddress } from '#endpoints/pages/confirm-address.ts'
import { ByteAnswer } from '#http/byte-answer.ts'
import { answer } from '#http/endpoint.ts'
import type { Server } from '#server.ts'

type Needs = Pick<Server, 'users'>

const bad = 'This link is not good any more. Ask for another mail where you asked for this one.'

export const confirmAddressRoutes = [
  answer(showConfirmAddress, async ({ query }, { users }: Needs) => {
    if (!(await users.addresses.isGood(query))) return page(400, `<p>${bad}</p>`)
    return page(
      200,
      '<p>Is this address yours, and was it you who asked for this mail?</p>' +
        '<form method="post"><button>Yes, confirm it</button></form>' +
        '<p>If it was not you, close this page: nothing happens then.</p>',
    )
  }),
  answer(confirmAddress, async ({ query }, { users }: Needs) => {
    const confirmed = await users.addresses.confirm(query)
    if (confirmed === undefined) return page(400, `<p>${bad}</p>`)
    const done = '<p>The address is confirmed. Go on where you began; you can close this page.</p>'
    // When the validation is completed, the user is redirected to this URL.
    const { nextLink: location } = confirmed
    return location === undefined ? page(200, done) : page(303, done, { location })
  }),
]

function page(status: number, content: string, headers: Readonly<Record<string, string>> = {}) {
  const text =
    '<!doctype html><html lang="en"><head><meta charset="utf-8">' +
    '<meta name="viewport" content="width=device-width, initial-scale=1">' +
    '<title>Confirm your address</title></head>' +
    `<body style="max-width:30em;margin:3em auto;padding:0 1em;font:1.1em/1.5 system-ui">${content}</body></html>\n`
  const body = Buffer.from(text)
  return new ByteAnswer({
    status,
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'content-length': String(body.length),
      // What is in the link is to be known to nobody else.
      'cache-control': 'no-store',
      'referrer-policy': 'no-referrer',
      'x-robots-tag': 'noindex',
      'content-security-policy':
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
      ...headers,
    },
    body: [body],
  })
}
