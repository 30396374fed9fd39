/**
 * A log that cannot be written, as on a full disk, does not end the server.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { makeAuthority } from '../src/io/certificates.ts'
import { temporaryFolder } from './databases.ts'
import { Client } from './rig/client.ts'
import { prepareHansa } from './rig/hansa.ts'

for (const format of ['text', 'json']) {
  test(`a server goes on whose log is on a full disk (${format})`, {
    timeout: 120_000,
  }, async (t) => {
    const folder = temporaryFolder(t)
    const authority = await makeAuthority('Log', Date.now())
    // All that is written there is refused with ENOSPC.
    const launcher = ['/bin/sh', '-c', 'exec "$@" > /dev/full', 'sh']
    const server = await prepareHansa({ folder, host: '127.0.0.1', authority, launcher })
    const config = join(folder, 'hansa.yaml')
    const settings = readFileSync(config, 'utf8').replace(
      'log: {level: info, format: text}',
      `log: {level: debug, format: ${format}}`,
    )
    writeFileSync(config, settings)
    await server.start()
    const alice = await Client.register(server.baseUrl, 'alice')
    const roomId = await alice.createRoom({})
    await alice.send(roomId, 'hello')
    assert.equal(server.condition, 'runs')
    assert.equal(await server.end(), 0)
  })
}
