/**
 * What is not served, on listeners of each kind: unknown paths, and methods that a path does not have.
 * Nobody is authenticated for it and no handler runs.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#unsupported-endpoints
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { serve } from '../src/http/serve.ts'
import { silentLog } from '../src/io/log.ts'
import { routesOf } from '../src/listeners.ts'

const methods = ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'HEAD']

async function ask(api: string, method: string, target: string) {
  const handler = serve(routesOf[api] ?? [], {} as never, { log: silentLog })
  const { status, headers, body } = await handler({
    method,
    target,
    headers: {},
    remoteAddress: '10.0.0.1',
    encrypted: true,
    signal: new AbortController().signal,
    body: async () => assert.fail('the body is not read'),
    chunks: () => assert.fail('the body is not read'),
  })
  const { errcode, error } = JSON.parse(Buffer.concat(body as Uint8Array[]).toString() || '{}')
  assert.ok(errcode === undefined || typeof error === 'string')
  return { status, errcode, allow: headers.allow, type: headers['content-type'] }
}

const unknownPaths = [
  '/',
  '',
  '/_matrix',
  '/_matrix/client/v3',
  '/_matrix/client/v3/',
  '/_matrix/client/v3/nothing',
  '/_matrix/client/v3/publicRooms/',
  '/_matrix/client/unstable/org.example/nothing',
  '/_matrix/client/r9/sync',
  '/_matrix/federation/v1/nothing',
  '/_matrix/federation/v1/send',
  '/_matrix/federation/v3/send_join/!a:b/$c',
  '/_matrix/policy/v2/sign',
  '/_matrix/key/v1/server',
  '/.well-known/matrix/nothing',
  '/_matrix/%',
  '/%00',
  '//_matrix/federation/v1/version',
]

for (const api of [...Object.keys(routesOf), 'metrics']) {
  test(`${api}: unknown paths are answered with 404, by any method`, async () => {
    for (const path of unknownPaths) {
      for (const method of methods) {
        const answer = await ask(api, method, path)
        const expected = { status: 404, errcode: 'M_UNRECOGNIZED', allow: undefined }
        assert.deepEqual(answer, { ...expected, type: 'application/json' }, `${method} ${path}`)
      }
    }
  })

  test(`${api}: what is served by other methods is answered with 405`, async () => {
    const routes = (routesOf[api] ?? []).map(({ endpoint }) => endpoint)
    for (const path of new Set(routes.map((one) => one.path))) {
      const target = path.replaceAll(/\{\w+\}/g, 'x')
      const served = routes
        .filter((one) => new RegExp(`^${one.path.replaceAll(/\{\w+\}/g, '[^/]*')}$`).test(target))
        .map((one) => one.method as string)
      for (const method of methods.filter((one) => !served.includes(one))) {
        const { status, errcode, allow = '' } = await ask(api, method, target)
        assert.deepEqual([status, errcode], [405, 'M_UNRECOGNIZED'], `${method} ${target}`)
        for (const one of served) assert.ok(allow.split(', ').includes(one), allow)
      }
    }
  })

  test(`${api}: what only other listeners serve is unknown`, async () => {
    const own = new Set((routesOf[api] ?? []).map(({ endpoint }) => endpoint.path))
    for (const { endpoint } of Object.values(routesOf).flat()) {
      if (own.has(endpoint.path)) continue
      const target = endpoint.path.replaceAll(/\{\w+\}/g, 'x')
      const { status, errcode } = await ask(api, endpoint.method, target)
      assert.deepEqual([status, errcode], [404, 'M_UNRECOGNIZED'], target)
    }
  })
}
