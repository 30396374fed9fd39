/**
 * Finds all endpoints and routes of the source, whoever uses them.
 *
 * @module
 */

import { globSync } from 'node:fs'
import { basename, resolve } from 'node:path'
import type { Endpoint, Route } from '../../src/http/endpoint.ts'
import type { SpecApi } from './openapi.ts'

export interface OurEndpoint {
  readonly api: SpecApi
  /** The name of its file, without `.ts`. */
  readonly file: string
  /** What it is exported as. */
  readonly name: string
  readonly endpoint: Endpoint
}

/** Method and path, which together name an operation. */
export function keyOf(operation: { readonly method: string; readonly path: string }): string {
  return `${operation.method} ${operation.path}`
}

export async function ourEndpoints(): Promise<OurEndpoint[]> {
  const found: OurEndpoint[] = []
  for (const api of ['client-server', 'server-server', 'push-gateway'] as const) {
    for (const path of globSync(`src/endpoints/${api}/*.ts`).sort()) {
      for (const [name, value] of Object.entries(await load(path))) {
        if (isEndpoint(value))
          found.push({ api, file: basename(path, '.ts'), name, endpoint: value })
      }
    }
  }
  return found
}

/** The operations that are served, by method and path. */
export async function servedOperations(): Promise<Set<string>> {
  const served = new Set<string>()
  for (const path of globSync('src/{client,federation}-api/*.ts')) {
    if (path.endsWith('.test.ts')) continue
    for (const value of Object.values(await load(path))) {
      const routes = Array.isArray(value) ? value : [value]
      for (const route of routes) if (isRoute(route)) served.add(keyOf(route.endpoint))
    }
  }
  return served
}

async function load(path: string): Promise<Record<string, unknown>> {
  return (await import(resolve(path))) as Record<string, unknown>
}

function isEndpoint(value: unknown): value is Endpoint {
  return typeof value === 'object' && value !== null && 'operationId' in value && 'path' in value
}

function isRoute(value: unknown): value is Route<never> {
  return typeof value === 'object' && value !== null && 'endpoint' in value && 'answer' in value
}
