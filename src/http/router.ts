/**
 * Finds the route of a request. Path parameters are decoded exactly once, so that identifiers with
 * `/`, `:`, `$`, `!` or `%` in them arrive as they are.
 *
 * @module
 */

import find from 'find-my-way'
import type { Route } from './endpoint.ts'
import { currentPath } from './older-paths.ts'

/** What a path leads to: a route with its parameters, the methods that it has instead, or nothing. */
export type Found<Needs> =
  | { readonly route: Route<Needs>; readonly params: Readonly<Record<string, string>> }
  | { readonly allowed: readonly string[] }
  | undefined

export interface Router<Needs> {
  find(method: string, path: string): Found<Needs>
}

const methods = ['GET', 'POST', 'PUT', 'DELETE'] as const

/** The routers of lists of routes: to make one takes some milliseconds, and who answers is no part of it. */
const known = new WeakMap<readonly Route<never>[], Router<never>>()

/** The router of a list of routes: the same one for the same list. */
export function routerOf<Needs>(routes: readonly Route<Needs>[]): Router<Needs> {
  return known.getOrInsertComputed(routes, () => createRouter(routes)) as Router<Needs>
}

function createRouter<Needs>(routes: readonly Route<Needs>[]): Router<Needs> {
  // The length of what comes is bounded by the size of the request's head.
  const router = find({ maxParamLength: Number.MAX_SAFE_INTEGER })
  for (const route of routes) {
    const path = route.endpoint.path.replaceAll(/\{(\w+)\}/g, ':$1')
    router.on(route.endpoint.method, path, () => {}, route)
    if (!route.endpoint.lastParamMayBeEmpty) continue
    const withoutLast = path.slice(0, path.lastIndexOf('/'))
    router.on(route.endpoint.method, withoutLast, () => {}, route)
  }
  const at = (method: (typeof methods)[number], path: string) => {
    const found = router.find(method, path)
    if (found === null) return undefined
    const route = found.store as Route<Needs>
    const { path: pattern, lastParamMayBeEmpty } = route.endpoint
    const params = found.params as Record<string, string>
    const last = pattern.slice(pattern.lastIndexOf('{') + 1, -1)
    return { route, params: lastParamMayBeEmpty ? { [last]: '', ...params } : params }
  }
  const findAt = (method: string, path: string): Found<Needs> => {
    const known = methods.find((one) => one === method)
    const found = known && at(known, path)
    if (found !== undefined) return found
    const allowed = methods.filter((other) => at(other, path) !== undefined)
    return allowed.length > 0 ? { allowed } : undefined
  }
  return {
    find: (method, path) => {
      const found = findAt(method, path)
      const current = found === undefined ? currentPath(path) : undefined
      return current === undefined ? found : findAt(method, current)
    },
  }
}
