/**
 * Makes SPEC.md: every operation of the spec, whether it is served, called and tested.
 *
 * `node test/contract/spec-table.ts --write` writes the file. An operation counts as called if code
 * in `federation/` uses its endpoint, and as tested by the tests that name it: by its path with
 * something in the place of each parameter, or by its operation ID, unless that is a common word.
 *
 * @module
 */

import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { type SpecApi, type SpecOperation, skip, specOperations } from './openapi.ts'
import { keyOf, type OurEndpoint, ourEndpoints, servedOperations } from './our-endpoints.ts'

export const tablePath = 'SPEC.md'

const titles: Record<SpecApi, string> = {
  'client-server': 'Client-server API',
  'server-server': 'Server-server API',
  'push-gateway': 'Push gateway API',
}

export async function specTable(): Promise<string> {
  const operations = specOperations()
  const endpoints = new Map(
    (await ourEndpoints()).map((one): [string, OurEndpoint] => [keyOf(one.endpoint), one]),
  )
  const served = await servedOperations()
  const sources = texts('src/{federation,push}/**/*.ts', (path) => !path.endsWith('.test.ts'))
  const tests = texts('{src,test}/**/*.test.ts', (path) => !path.startsWith('test/contract/'))
  const sections = Object.entries(titles).map(([api, title]) => {
    const rows = operations
      .filter((operation) => operation.api === api)
      .map((operation) => {
        const endpoint = endpoints.get(keyOf(operation))
        const isServed = served.has(keyOf(operation))
        const isCalled = endpoint !== undefined && isUsed(endpoint.name, sources)
        const testedBy = isServed || isCalled ? testsOf(operation, tests) : []
        return { operation, isServed, isCalled, testedBy }
      })
    // Of a gateway we are only the one that asks.
    const isAskedOnly = api === 'push-gateway'
    const count = rows.filter((row) => (isAskedOnly ? row.isCalled : row.isServed)).length
    return [
      `## ${title}`,
      '',
      `${count} of ${rows.length} operations are ${isAskedOnly ? 'called' : 'served'}.`,
      '',
      '| operation | file | served | called | tests |',
      '|---|---|---|---|---|',
      ...rows.map(({ operation, isServed, isCalled, testedBy }) => {
        const marks = [isServed, api !== 'client-server' && isCalled].map((is) => (is ? 'yes' : ''))
        const cells = [`\`${keyOf(operation)}\``, operation.file, ...marks, testedBy.join('<br>')]
        return `| ${cells.join(' | ')} |`
      }),
      '',
    ].join('\n')
  })
  return [
    '# The specification, operation by operation',
    '',
    'Made by `node test/contract/spec-table.ts --write`; a test checks that it is fresh.',
    'Version 1.19 of the Matrix specification.',
    '',
    ...sections,
  ].join('\n')
}

function texts(pattern: string, isWanted: (path: string) => boolean): Map<string, string> {
  const paths = globSync(pattern).filter(isWanted).sort()
  return new Map(paths.map((path) => [path, readFileSync(path, 'utf8')]))
}

function isUsed(name: string, sources: Map<string, string>): boolean {
  const asWord = new RegExp(`\\b${name}\\b`)
  return [...sources.values()].some((text) => asWord.test(text))
}

function testsOf(operation: SpecOperation, tests: Map<string, string>): string[] {
  const literal = operation.path
    .split(/\{\w+\}/)
    .map((part) => part.replaceAll(/[.*+?^$()[\]\\|]/g, '\\$&'))
    .join('[^\'"`\\s/]+')
  const isWord = !/[A-Z_]/.test(operation.operationId)
  const byPath = new RegExp(`${literal}(?=['"\`?\\s])`)
  const byId = new RegExp(isWord ? '$^' : `\\b${operation.operationId}\\b`)
  return [...tests].filter(([, text]) => byPath.test(text) || byId.test(text)).map(([path]) => path)
}

if (process.argv.includes('--write')) {
  if (skip) throw new Error(skip)
  writeFileSync(tablePath, await specTable())
}
