/**
 * Hansa as a process, over TLS, on loopback.
 *
 * @module
 */

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Certificate, issueCertificate } from '../../src/io/certificates.ts'
import { freePort, ServerProcess } from './processes.ts'

const main = new URL('../../bin/hansa.js', import.meta.url).pathname

/** Prepares a Hansa at `host`, a loopback address, with its files below `folder`. */
export async function prepareHansa(options: {
  folder: string
  host: string
  authority: Certificate
  /** The port in its name, where a `Plug` stands in front of it. */
  publicPort?: number
  /** The names of servers that are asked for the keys of others. */
  notaries?: readonly string[]
  /** Further lines of the configuration. */
  more?: string
  /** Whether it tells to wait who asks too often, and refuses what can be spared; not so by default. */
  isLimited?: boolean
  /** Where its log goes; by default among its files. */
  logFile?: string
  /** Flags of Node. */
  nodeFlags?: readonly string[]
  /** What its environment says besides ours; looked at anew at each start. */
  environment?: Record<string, string>
  /** What starts it, as words before its command; looked at anew at each start. */
  launcher?: readonly string[]
  /** Whether it takes messages from the process that starts it. */
  listens?: boolean
}): Promise<ServerProcess> {
  const { folder, host, authority } = options
  mkdirSync(folder, { recursive: true })
  const [tlsPort, plainPort] = [await freePort(host), await freePort(host)]
  const serverName = `${host}:${options.publicPort ?? tlsPort}`
  const leaf = await issueCertificate(authority, [host], Date.now())
  writeFileSync(join(folder, 'ca.crt'), authority.cert)
  writeFileSync(join(folder, 'tls.crt'), leaf.cert)
  writeFileSync(join(folder, 'tls.key'), leaf.key, { mode: 0o600 })
  const file = join(folder, 'hansa.yaml')
  writeFileSync(
    file,
    `
server_name: "${serverName}"
public_baseurl: "http://${host}:${plainPort}"
data_dir: ${folder}
listeners:
  - {host: ${host}, port: ${tlsPort}, tls: {cert: ${folder}/tls.crt, key: ${folder}/tls.key}, apis: [client, federation, media]}
  - {host: ${host}, port: ${plainPort}, apis: [client, federation, media, admin]}
federation: {ca_files: [${folder}/ca.crt], allow_private_ips: true, trusted_key_servers: ${JSON.stringify(options.notaries ?? [])}, retry: {min_ms: 500, max_ms: 2000}}
registration: {enabled: true, shared_secret: s}
password_hash_cost: 1
rate_limits: ${options.isLimited === true}
load_shedding: ${options.isLimited === true}
log: {level: info, format: text}
${options.more ?? ''}
`,
  )
  return new ServerProcess({
    serverName,
    baseUrl: `http://${host}:${plainPort}`,
    tlsPort,
    logFile: options.logFile ?? join(folder, 'hansa.log'),
    environment: options.environment ?? {},
    launcher: options.launcher ?? [],
    listens: options.listens ?? false,
    command: [process.execPath, ...(options.nodeFlags ?? []), main, 'start', '--config', file],
  })
}
