import assert from 'node:assert/strict'
import { createServer, request } from 'node:https'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { certificateEnd, issueCertificate, makeAuthority } from './certificates.ts'

/** Whether a TLS client that trusts `ca` reads an answer from a server with this certificate. */
async function trusted(names: string[], servername: string, wrongAuthority = false) {
  const now = Date.now()
  const authority = await makeAuthority('Test', now)
  const other = await makeAuthority('Test', now)
  const { cert, key } = await issueCertificate(authority, names, now)
  const server = createServer({ cert, key }, (_, response) => response.end('ok'))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  try {
    return await new Promise((resolve) => {
      const ca = wrongAuthority ? other.cert : authority.cert
      request({ host: '127.0.0.1', port, ca, servername, agent: false }, (answer) => {
        answer.resume()
        resolve(answer.statusCode === 200)
      })
        .on('error', () => resolve(false))
        .end()
    })
  } finally {
    server.closeAllConnections()
    server.close()
  }
}

test('a certificate is good for its names, under its authority', async () => {
  assert.equal(await trusted(['a.test', '127.0.0.1'], 'a.test'), true)
  assert.equal(await trusted(['a.test'], 'b.test'), false)
  assert.equal(await trusted(['a.test'], 'a.test', true), false)
})

test('the end of a certificate', async () => {
  const authority = await makeAuthority('Test', Date.UTC(2026, 0, 1))
  assert.equal(new Date(certificateEnd(authority.cert)).getUTCFullYear(), 2035)
})
