/**
 * Requests for an endpoint, made from its schemas.
 *
 * @module
 */

import type { Endpoint } from '../../src/http/endpoint.ts'
import type { Json, JsonObject } from '../../src/protocol/json.ts'
import * as t from '../../src/schema/schema.ts'
import { sample } from './sample.ts'

/** The values of a request that its schemas take. */
export interface Values {
  readonly params: Readonly<Record<string, string>>
  readonly query: JsonObject
  readonly body: Json | undefined
}

/** With all that is required, and a user in the path who is the one that asks. */
export function valuesFor(endpoint: Endpoint, roomId: string, userId: string): Values {
  const of = (fields: Endpoint['params']) =>
    sample(t.object({ ...fields }), roomId, false) as JsonObject
  const params = of(endpoint.params) as Record<string, string>
  return {
    params: { ...params, ...('userId' in params && { userId }) },
    query: of(endpoint.query),
    body: endpoint.body && sample(endpoint.body, roomId),
  }
}

/** Its method and target. */
export function requestOf({ method, path }: Endpoint, { params, query }: Values): string {
  const filled = path.replaceAll(/\{(\w+)\}/g, (_, name) => encodeURIComponent(params[name] ?? ''))
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    for (const one of Array.isArray(value) ? value : [value]) search.append(name, String(one))
  }
  return `${method} ${filled}${search.size > 0 ? `?${search}` : ''}`
}
