/**
 * A first start that is cut short, at each step of it: the next one makes a server that works.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeAuthority } from '../../src/io/certificates.ts'
import { programMigrations } from '../../src/storage/migrate.ts'
import { Client } from '../rig/client.ts'
import { prepareHansa } from '../rig/hansa.ts'

const main = new URL('../../bin/hansa.js', import.meta.url).pathname
const acts = ['kill', 'throw'] as const
const moments = ['before', 'after'] as const
/** How often each kind of file is written. */
const configurationWrites = { 'authority-file': 2, 'certificate-file': 2, 'configuration-file': 1 }

/** All places that a first start passes, as `name:n:act`. */
export function firstStarts(): string[] {
  const configuration = Object.entries(configurationWrites).flatMap(([name, count]) =>
    Array.from({ length: count }, (_, index) => ({ name, count: index + 1 })),
  )
  const last = programMigrations.length
  const migrations = [1, Math.ceil(last / 2), last].map((count) => ({ name: 'migration', count }))
  return [...configuration, ...migrations, { name: 'signing-key', count: 1 }].flatMap(
    ({ name, count }) =>
      moments.flatMap((moment) => acts.map((act) => `${name}/${moment}:${count}:${act}`)),
  )
}

/** Cuts a first start short and starts again. Throws if that is not as if nothing had happened. */
export async function cutShort(failpoint: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'hansa-first-'))
  try {
    if (/^(?:migration|signing-key)/.test(failpoint)) await cutServerShort(folder, failpoint)
    else cutConfigurationShort(folder, failpoint)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** What `hansa start` says when it fails where it is told to; it listens nowhere before. */
function startAndFail(config: string, failpoint: string): void {
  const { status, stderr } = spawnSync(process.execPath, [main, 'start', '--config', config], {
    encoding: 'utf8',
    env: { ...process.env, HANSA_FAILPOINT: failpoint },
    timeout: 60_000,
  })
  assert.match(stderr, /failpoint reached/, failpoint)
  assert.notEqual(status, 0, failpoint)
}

function cutConfigurationShort(folder: string, failpoint: string): void {
  const config = join(folder, 'hansa.yaml')
  startAndFail(config, failpoint)
  // The ports of a first start may be in use: this one ends when all is made, before it listens.
  const isMade = failpoint.startsWith('configuration-file/after')
  if (!isMade) startAndFail(config, 'configuration-file/after:1:kill')
  const check = spawnSync(process.execPath, [main, 'config', 'check', '--config', config])
  assert.equal(check.status, 0, String(check.stderr))
  for (const secret of ['hansa.yaml', 'data/tls.key', 'data/ca.key']) {
    assert.equal(statSync(join(folder, secret)).mode & 0o777, 0o600, secret)
  }
}

async function cutServerShort(folder: string, failpoint: string): Promise<void> {
  const authority = await makeAuthority('First start', Date.now())
  const server = await prepareHansa({ folder, host: '127.0.0.1', authority })
  startAndFail(join(folder, 'hansa.yaml'), failpoint)
  await server.start()
  try {
    const alice = await Client.register(server.baseUrl, 'alice')
    const roomId = await alice.createRoom({})
    const eventId = await alice.send(roomId, 'hello')
    const keys = await fetch(`${server.baseUrl}/_matrix/key/v2/server`)
    const before = (await keys.json()) as { verify_keys: object }
    await server.end('SIGKILL')
    await server.start()
    const again = await fetch(`${server.baseUrl}/_matrix/key/v2/server`)
    const after = (await again.json()) as { verify_keys: object }
    assert.deepEqual(after.verify_keys, before.verify_keys)
    assert.ok((await alice.history(roomId, 10)).some(({ event_id }) => event_id === eventId))
  } finally {
    await server.end()
  }
  const doctor = spawnSync(process.execPath, [
    ...[main, 'doctor', '--store', '--config', join(folder, 'hansa.yaml')],
  ])
  assert.equal(doctor.status, 0, String(doctor.stdout))
}
