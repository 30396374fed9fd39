/**
 * Reads the operations out of the spec's OpenAPI files, as far as our endpoints are compared with
 * them. The files are not part of the project: they are read where they are.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { parse } from 'yaml'
import type { Json, JsonObject } from '../../src/protocol/json.ts'

export const specFolder = '../shared/spec/data/api'

/** Why nothing can be compared, or `false`. */
export const skip = existsSync(specFolder) ? false : `the spec is not at ${specFolder}`

export type SpecApi = 'client-server' | 'server-server' | 'push-gateway'

/** What an object of JSON may hold, as far as the schema says. */
export interface SpecFields {
  readonly required: ReadonlySet<string>
  readonly names: ReadonlySet<string>
}

export interface SpecOperation {
  readonly api: SpecApi
  /** The name of its file, without `.yaml`. */
  readonly file: string
  readonly operationId: string
  readonly method: string
  /** With the base path. */
  readonly path: string
  readonly summary: string
  readonly auth: 'none' | 'server' | 'user' | 'optional-user' | 'appservice'
  readonly params: ReadonlySet<string>
  readonly query: SpecFields
  /** Absent if there is no JSON body. */
  readonly body: SpecFields | undefined
  /** The schemas of the query's fields, and of the JSON body. */
  readonly schemas: { readonly query: Readonly<Record<string, JsonObject>>; body?: JsonObject }
  /** All statuses that are described, but 200. */
  readonly otherStatuses: readonly number[]
  /** The JSON of the answer with status 200. */
  readonly response: SpecFields | undefined
}

type Node = Readonly<Record<string, unknown>>

const methods = ['get', 'post', 'put', 'delete', 'patch']

/** All operations of the APIs, in the order of their files. */
export function specOperations(): SpecOperation[] {
  const apis: SpecApi[] = ['client-server', 'server-server', 'push-gateway']
  return apis.flatMap((api) =>
    globSync(`${specFolder}/${api}/*.yaml`)
      .sort()
      .flatMap((path) => operationsIn(api, path)),
  )
}

function operationsIn(api: SpecApi, filePath: string): SpecOperation[] {
  const document = read(filePath)
  const basePath = text(
    at(document, 'servers', '0', 'variables', 'basePath', 'default') ??
      at(document, 'servers', '0', 'url'),
  )
  const file = basename(filePath, '.yaml')
  return Object.entries(node(document.paths)).flatMap(([path, operations]) =>
    Object.entries(node(operations))
      .filter(([method]) => methods.includes(method))
      .map(([method, operation]) => {
        // Where two operations have one path, the file tells them apart by a space at its end.
        const shared = {
          api,
          file,
          method: method.toUpperCase(),
          path: `${basePath}${path}`.trim(),
        }
        return { ...shared, ...partsOf(node(operation), node(operations), filePath) }
      }),
  )
}

function partsOf(operation: Node, siblings: Node, filePath: string) {
  const parameters = [...list(siblings.parameters), ...list(operation.parameters)].map((one) =>
    resolve(node(one), filePath),
  )
  const inPlace = (place: string) => parameters.filter(([one]) => one.in === place)
  const query = inPlace('query').map(([one]) => one)
  return {
    operationId: text(operation.operationId),
    summary: text(operation.summary).replaceAll(/\s+/g, ' '),
    auth: authOf(operation),
    params: new Set(inPlace('path').map(([one]) => text(one.name))),
    query: {
      names: new Set(query.map((one) => text(one.name))),
      required: new Set(query.filter((one) => one.required === true).map((one) => text(one.name))),
    },
    body: jsonOf(operation.requestBody, filePath),
    schemas: {
      query: Object.fromEntries(
        query.map((one) => [text(one.name), wholeSchema(node(one.schema ?? {}), filePath)]),
      ),
      ...bodySchemaOf(operation, filePath),
    },
    otherStatuses: Object.keys(node(operation.responses))
      .map(Number)
      .filter((status) => status !== 200),
    response: jsonOf(at(operation, 'responses', '200'), filePath),
  }
}

function authOf(operation: Node): SpecOperation['auth'] {
  const schemes = list(operation.security).map((one) => Object.keys(node(one))[0])
  if (schemes.includes('signedRequest')) return 'server'
  if (schemes.includes('appserviceAccessTokenBearer')) return 'appservice'
  if (!schemes.includes('accessTokenBearer') && !schemes.includes('accessToken')) return 'none'
  return schemes.includes(undefined) ? 'optional-user' : 'user'
}

function jsonOf(message: unknown, filePath: string): SpecFields | undefined {
  const schema = at(message, 'content', 'application/json', 'schema')
  return schema === undefined ? undefined : fieldsOf(node(schema), filePath)
}

function bodySchemaOf(operation: Node, filePath: string): { body?: JsonObject } {
  const schema = at(operation.requestBody, 'content', 'application/json', 'schema')
  return schema === undefined ? {} : { body: wholeSchema(node(schema), filePath) }
}

/** A schema with all that it refers to in its place, and the parts of an `allOf` as one. */
function wholeSchema(schema: Node, filePath: string): JsonObject {
  const [resolved, home] = resolve(schema, filePath)
  const { allOf, properties, items, additionalProperties, ...own } = resolved
  const parts = list(allOf).map((part) => wholeSchema(node(part), home))
  const fields = Object.entries(node(properties ?? {})).map(
    ([name, field]) => [name, wholeSchema(node(field), home)] as const,
  )
  const type = own.type ?? parts.find((part) => part.type !== undefined)?.type
  return {
    ...(own as JsonObject),
    ...(type !== undefined && { type: type as Json }),
    required: [own, ...parts].flatMap((part) => list(part.required)) as Json[],
    properties: Object.assign(
      {},
      ...parts.map((part) => part.properties),
      Object.fromEntries(fields),
    ),
    ...(isObject(items) && { items: wholeSchema(items, home) }),
    ...(isObject(additionalProperties) && {
      additionalProperties: wholeSchema(additionalProperties, home),
    }),
  }
}

/** The fields of a schema and of all that it is made of. */
function fieldsOf(schema: Node, filePath: string): SpecFields {
  const [resolved, home] = resolve(schema, filePath)
  const parts = list(resolved.allOf).map((part) => fieldsOf(node(part), home))
  const names = Object.keys(node(resolved.properties ?? {}))
  const required = list(resolved.required).map(text)
  return {
    names: new Set([...names, ...parts.flatMap((part) => [...part.names])]),
    required: new Set([...required, ...parts.flatMap((part) => [...part.required])]),
  }
}

/** Follows `$ref`s; gives the file the result is in too, since further ones are relative to it. */
function resolve(value: Node, filePath: string): [Node, string] {
  if (typeof value.$ref !== 'string') return [value, filePath]
  const [target = '', pointer = ''] = value.$ref.split('#')
  const path = target === '' ? filePath : join(dirname(filePath), target)
  const found = at(read(path), ...pointer.split('/').filter((key) => key !== ''))
  return resolve(node(found), path)
}

const documents = new Map<string, Node>()

function read(path: string): Node {
  const known = documents.get(path)
  if (known !== undefined) return known
  const document = node(parse(readFileSync(path, 'utf8')))
  documents.set(path, document)
  return document
}

function at(value: unknown, ...keys: string[]): unknown {
  return keys.reduce<unknown>(
    (found, key) =>
      typeof found === 'object' && found !== null ? Reflect.get(found, key) : undefined,
    value,
  )
}

function isObject(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function node(value: unknown): Node {
  assert.ok(isObject(value))
  return value
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
