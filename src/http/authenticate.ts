/**
 * The access token of a client's request.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#using-access-tokens
 *
 * @module
 */

import type { IncomingRequest } from '#io/http.ts'

/** The token in the `Authorization` header, else the one in the query. */
export function accessTokenOf(
  request: IncomingRequest,
  query: URLSearchParams,
): string | undefined {
  const header = request.headers.authorization
  const text = typeof header === 'string' ? header : header?.[0]
  if (text !== undefined && /^bearer /i.test(text)) return text.slice('bearer '.length).trim()
  return query.get('access_token') ?? undefined
}
