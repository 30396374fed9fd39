/**
 * A real Synapse as a peer: a process of its own, over TLS, on loopback.
 *
 * @module
 */

import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Certificate, issueCertificate } from '../../src/io/certificates.ts'
import { freePort, ServerProcess } from './processes.ts'

const startLean = new URL('start-synapse.py', import.meta.url).pathname

const leanConfiguration = `
push: {enabled: false}
user_directory: {enabled: false}
stats: {enabled: false}
`

/** What it does with events, without a line for each request and each turn of its caches. */
const logConfiguration = (level: string) => `
version: 1
formatters: {plain: {format: '%(asctime)s %(levelname)s %(name)s %(request)s %(message)s'}}
handlers: {console: {class: logging.StreamHandler, formatter: plain}}
loggers:
  synapse.access: {level: WARNING}
  synapse.metrics: {level: CRITICAL}
  synapse.storage: {level: WARNING}
  synapse.util: {level: CRITICAL}
root: {level: ${level}, handlers: [console]}
disable_existing_loggers: false
`

/** Prepares a Synapse at `host`, a loopback address, with its files below `folder`. */
export async function prepareSynapse(options: {
  python: string
  folder: string
  host: string
  authority: Certificate
  /** The port in its name, where a `Plug` stands in front of it. */
  publicPort?: number
  /** Leaves out what a test of rooms can do without: pushes, statistics, waiting for the disk. */
  lean?: boolean
  /** The setting `database`, if it is not to be SQLite. */
  database?: string
  /** Logs what is wrong, and nothing else. */
  quiet?: boolean
  /** Further lines of the configuration, which replace those before them. */
  more?: string
}): Promise<ServerProcess> {
  const { python, folder, host, authority, lean = false } = options
  mkdirSync(folder, { recursive: true })
  const [tlsPort, plainPort] = [await freePort(host), await freePort(host)]
  const serverName = `${host}:${options.publicPort ?? tlsPort}`
  const leaf = await issueCertificate(authority, [host], Date.now())
  writeFileSync(join(folder, 'ca.crt'), authority.cert)
  writeFileSync(join(folder, 'tls.crt'), leaf.cert)
  writeFileSync(join(folder, 'tls.key'), leaf.key)
  execFileSync(python, [
    '-m',
    'synapse._scripts.generate_signing_key',
    '-o',
    join(folder, 'signing.key'),
  ])
  const file = join(folder, 'homeserver.yaml')
  const base = configuration({ ...options, serverName, tlsPort, plainPort })
  writeFileSync(file, `${base}${lean ? leanConfiguration : ''}${options.more ?? ''}`)
  writeFileSync(join(folder, 'log.yaml'), logConfiguration(options.quiet ? 'WARNING' : 'INFO'))
  return new ServerProcess({
    serverName,
    baseUrl: `http://${host}:${plainPort}`,
    tlsPort,
    logFile: join(folder, 'synapse.log'),
    command: [python, ...(lean ? [startLean] : ['-m', 'synapse.app.homeserver']), '-c', file],
  })
}

function configuration(options: {
  serverName: string
  host: string
  tlsPort: number
  plainPort: number
  folder: string
  database?: string
}): string {
  const { serverName, host, tlsPort, plainPort, folder } = options
  const sqlite = `{name: sqlite3, args: {database: ${folder}/homeserver.db}}`
  return `
server_name: "${serverName}"
public_baseurl: "https://${serverName}/"
pid_file: ${folder}/homeserver.pid
signing_key_path: ${folder}/signing.key
media_store_path: ${folder}/media
report_stats: false
log_config: ${folder}/log.yaml
tls_certificate_path: ${folder}/tls.crt
tls_private_key_path: ${folder}/tls.key
listeners:
  - {port: ${tlsPort}, bind_addresses: ["${host}"], type: http, tls: true, resources: [{names: [client, federation]}]}
  - {port: ${plainPort}, bind_addresses: ["${host}"], type: http, tls: false, resources: [{names: [client, federation]}]}
database: ${options.database ?? sqlite}
federation_custom_ca_list: [${folder}/ca.crt]
ip_range_blacklist: []
federation_ip_range_blacklist: []
trusted_key_servers: []
suppress_key_server_warning: true
federation: {destination_min_retry_interval: 1s, destination_max_retry_interval: 3s, destination_retry_multiplier: 1, client_timeout: 20s}
enable_registration: true
enable_registration_without_verification: true
registration_shared_secret: s
macaroon_secret_key: m
form_secret: f
bcrypt_rounds: 4
allow_public_rooms_over_federation: true
room_list_publication_rules: [{action: allow}]
presence: {enabled: false}
caches: {sync_response_cache_duration: 0}
rc_message: {per_second: 10000, burst_count: 10000}
rc_registration: {per_second: 10000, burst_count: 10000}
rc_login: {address: {per_second: 10000, burst_count: 10000}, account: {per_second: 10000, burst_count: 10000}, failed_attempts: {per_second: 10000, burst_count: 10000}}
rc_joins: {local: {per_second: 10000, burst_count: 10000}, remote: {per_second: 10000, burst_count: 10000}}
rc_joins_per_room: {per_second: 10000, burst_count: 10000}
rc_invites: {per_room: {per_second: 10000, burst_count: 10000}, per_user: {per_second: 10000, burst_count: 10000}, per_issuer: {per_second: 10000, burst_count: 10000}}
rc_room_creation: {per_second: 10000, burst_count: 10000}
rc_federation: {window_size: 1000, sleep_limit: 100000, sleep_delay: 1, reject_limit: 100000, concurrent: 100}
`
}
