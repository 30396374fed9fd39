/**
 * Asks routes for administrators without a server around them.
 *
 * @module
 */

import type { Route } from '../src/http/endpoint.ts'
import { serve } from '../src/http/serve.ts'
import { silentLog } from '../src/io/log.ts'
import { simulatedBody } from '../src/io/simulated/simulated-body.ts'
import type { UserId } from '../src/protocol/identifiers/ids.ts'

/** Gives a function that asks as the user whose name is the token; the only administrator is `root`. */
export function adminAsker<Needs>(routes: readonly Route<Needs>[], needs: Needs) {
  const handler = serve(routes, needs, {
    log: silentLog,
    checkAnswers: true,
    authenticateUser: async (name) => ({
      userId: `@${name}:here.test`,
      deviceId: '',
      guest: false,
    }),
    isAdmin: async (userId: UserId) => userId === '@root:here.test',
  })
  return async (
    method: string,
    path: string,
    { body = {}, token = 'root' }: { readonly body?: object; readonly token?: string } = {},
  ) => {
    const answer = await handler({
      method,
      target: `/_hansa/admin/v1/${path}`,
      headers: { authorization: `Bearer ${token}` },
      remoteAddress: '10.0.0.1',
      encrypted: true,
      signal: new AbortController().signal,
      ...simulatedBody(JSON.stringify(body)),
    })
    const chunks: Uint8Array[] = []
    for await (const chunk of answer.body as Iterable<Uint8Array>) chunks.push(chunk)
    const text = Buffer.concat(chunks).toString()
    const isJson = answer.headers['content-type'] === 'application/json'
    return { status: answer.status, body: isJson ? JSON.parse(text) : undefined, text }
  }
}
