/**
 * Serves the page for administrators: what anybody may load, and nothing of this server in it.
 *
 * @module
 */

import {
  getAdminPage,
  getAdminPageScript,
  getAdminPageStyle,
  getAdminPageWithSlash,
} from '#endpoints/admin/page.ts'
import { ByteAnswer } from '#http/byte-answer.ts'
import { answer, type Route } from '#http/endpoint.ts'
import { programFiles } from '#io/program-files.ts'
import { type Html, html } from '#room-picture/html.ts'
import type { Server } from '#server.ts'

type Needs = Pick<Server, 'serverName'>

const [style] = programFiles(new URL('../room-picture/', import.meta.url), 'picture.css')
const [ownStyle] = programFiles(new URL('./page/', import.meta.url), 'page.css')
const [script] = programFiles(new URL('./page/', import.meta.url), 'page.js')

const headers = {
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-robots-tag': 'noindex',
  // The picture says where its parts are by `style` attributes.
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; " +
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
}

/** Something that is no JSON, for nobody else's page and no cache. */
export function served(type: string, text: string): ByteAnswer {
  const body = Buffer.from(text)
  return new ByteAnswer({
    status: 200,
    headers: {
      ...headers,
      'content-type': `${type}; charset=utf-8`,
      'content-length': String(body.length),
    },
    body: [body],
  })
}

function shell(serverName: string): Html {
  return html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>${serverName}</title>
<link rel="stylesheet" href="/_hansa/admin/page.css">
<script type="module" src="/_hansa/admin/page.js"></script></head>
<body>
<nav><b>${serverName}</b> <a href="/_hansa/admin">Rooms</a> <a href="/_hansa/admin?server">Server</a>
<button id="leave" type="button" hidden>Log out</button></nav>
<form hidden>
<p>For administrators of this server. Without a name, an access token is taken for the password.</p>
<label>User <input name="user" autocomplete="username"></label>
<label>Password <input name="secret" type="password" required autocomplete="current-password"></label>
<button>Log in</button>
</form>
<p id="complaint" role="alert"></p>
<main hidden></main>
</body></html>
`
}

export const pageRoutes: readonly Route<Needs>[] = [
  ...[getAdminPage, getAdminPageWithSlash].map((page) =>
    answer(page, async (_, { serverName }: Needs) => served('text/html', shell(serverName).text)),
  ),
  answer(getAdminPageScript, async () => served('text/javascript', script?.text ?? '')),
  answer(getAdminPageStyle, async () =>
    served('text/css', `${style?.text ?? ''}\n${ownStyle?.text ?? ''}`),
  ),
]
