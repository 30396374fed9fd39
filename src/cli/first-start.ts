/**
 * The first start on a machine: a configuration and a certificate for localhost, so that one
 * command runs a server that works. What it makes is meant to be read and changed.
 *
 * @module
 */

import { join } from 'node:path'
import type { Clock } from '#io/clock.ts'
import type { Files } from '#io/files.ts'

const names = ['localhost', '127.0.0.1', '::1']

function configurationText(dataDir: string, sharedSecret: string): string {
  return `# Hansa's configuration, made at the first start for this machine alone.
# docs/config.md lists all keys. docs/install.md says how to make a public server of it.

# The part of user IDs after the colon: @alice:localhost:8448. It can never change.
server_name: localhost:8448
public_baseurl: http://localhost:8008

data_dir: ${dataDir}

listeners:
  # Other servers connect here. The certificate is signed by an authority made for this machine.
  - host: 127.0.0.1
    port: 8448
    tls: {cert: ${join(dataDir, 'tls.crt')}, key: ${join(dataDir, 'tls.key')}}
    apis: [client, federation, media]
  # Clients connect here.
  - host: 127.0.0.1
    port: 8008
    apis: [client, federation, media, admin]

federation:
  # Other servers on this machine may take part, if the same authority signed their certificates.
  allow_private_ips: true
  ca_files: [${join(dataDir, 'ca.crt')}]

registration:
  enabled: false
  # Whoever knows it can make accounts: keep this file to yourself.
  shared_secret: ${sharedSecret}

log: {level: info, format: text}
`
}

/** Makes a configuration at `path`, with a certificate, if there is none. Tells whether it did. */
export async function makeFirstConfiguration(
  { files, clock, secret }: { files: Files; clock: Clock; secret: () => string },
  { path, dataDir }: { path: string; dataDir: string },
): Promise<boolean> {
  if ((await files.readText(path)) !== undefined) return false
  await files.makeFolder(dataDir)
  const now = clock.now()
  // Every later start does without it.
  const { issueCertificate, makeAuthority } = await import('#io/certificates.ts')
  const authority = await makeAuthority('Hansa on this machine', now)
  const certificate = await issueCertificate(authority, names, now)
  await files.writeText(join(dataDir, 'ca.crt'), authority.cert)
  await files.writeText(join(dataDir, 'ca.key'), authority.key, { mode: 0o600 })
  await files.writeText(join(dataDir, 'tls.crt'), certificate.cert)
  await files.writeText(join(dataDir, 'tls.key'), certificate.key, { mode: 0o600 })
  // Last, so that an interrupted first start is simply made again.
  await files.writeText(path, configurationText(dataDir, secret()), { mode: 0o600 })
  return true
}
