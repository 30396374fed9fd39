/**
 * A whole Hansa in this process, on loopback, over real sockets and TLS: for what speaks to a server
 * from outside.
 *
 * @module
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { loadConfig } from '../src/config/load.ts'
import { simulatedArgon2id } from '../src/io/argon2id.ts'
import { type Certificate, issueCertificate, makeAuthority } from '../src/io/certificates.ts'
import { silentLog } from '../src/io/log.ts'
import { realIo } from '../src/io/real-io.ts'
import type { ServerName } from '../src/protocol/identifiers/ids.ts'
import type { Server } from '../src/server.ts'
import { startServer } from '../src/start-server.ts'
import { openSqlite } from '../src/storage/sqlite.ts'
import { freePort } from './rig/processes.ts'

const host = '127.0.0.1'

export interface LoopbackHansa {
  readonly server: Server
  readonly name: ServerName
  readonly authority: Certificate
  /** Where tests may put files. `ca.crt`, `tls.crt`, `tls.key` and `hansa.yaml` are there. */
  readonly folder: string
  /** Where clients and administrators reach it. */
  readonly baseUrl: string
}

/** Starts one, which ends with the test. Its certificate is for every server on 127.0.0.1. */
export async function loopbackHansa(t: TestContext): Promise<LoopbackHansa> {
  const folder = mkdtempSync(join(tmpdir(), 'hansa-loopback-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const authority = await makeAuthority('Loopback', Date.now())
  const certificate = await issueCertificate(authority, [host], Date.now())
  const [port, plainPort] = [await freePort(host), await freePort(host)]
  const name = `${host}:${port}` as ServerName
  const files = {
    'ca.crt': authority.cert,
    'tls.crt': certificate.cert,
    'tls.key': certificate.key,
  }
  for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, file), text)
  const text = `
server_name: ${name}
data_dir: ${folder}
listeners:
  - {host: ${host}, port: ${port}, tls: {cert: ${folder}/tls.crt, key: ${folder}/tls.key}, apis: [client, federation]}
  - {host: ${host}, port: ${plainPort}, apis: [client, admin]}
federation: {ca_files: [${folder}/ca.crt], allow_private_ips: true}
rate_limits: false
`
  writeFileSync(join(folder, 'hansa.yaml'), text)
  const config = loadConfig(text, {})
  const tls = { cert: certificate.cert, key: certificate.key }
  const listeners = config.listeners.map((one) => (one.tls ? { ...one, tls } : one))
  const log = { level: 'error', format: 'json' } as const
  const io = { ...realIo({ log, ca: [authority.cert], allowPrivateIps: true }), log: silentLog }
  const db = await openSqlite({ path: join(folder, 'hansa.db') })
  const running = await startServer(
    { ...config, listeners },
    { io, db, argon2id: simulatedArgon2id, checkAnswers: true },
  )
  t.after(() => running.close(0))
  return { server: running.server, name, authority, folder, baseUrl: `http://${host}:${plainPort}` }
}
