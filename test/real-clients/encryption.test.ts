/**
 * The library that Element Web is made with, with its cryptography, on two Hansas that federate.
 *
 * Operations: uploadKeys, queryKeys, claimKeys, sendToDevice, uploadCrossSigningKeys,
 * uploadCrossSigningSignatures, postRoomKeysVersion, getRoomKeysVersionCurrent, putRoomKeys, getRoomKeys,
 * setAccountData, getAccountData, sync.
 *
 * Run it with `--test-force-exit`: the library leaves a timer behind for each request.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { makeAuthority } from '../../src/io/certificates.ts'
import { prepareHansa } from '../rig/hansa.ts'
import type { ServerProcess } from '../rig/processes.ts'
import { hurryLibrary } from './crypto-client.ts'
import { liveEncrypted } from './encrypted-life.ts'

const host = '127.0.0.1'
const servers: ServerProcess[] = []
let folder: string

before(async () => {
  hurryLibrary()
  folder = mkdtempSync(join(tmpdir(), 'hansa-crypto-'))
  const authority = await makeAuthority('test', Date.now())
  for (const name of ['a', 'b']) {
    servers.push(await prepareHansa({ folder: join(folder, name), host, authority }))
  }
  await Promise.all(servers.map((server) => server.start()))
})

after(async () => {
  await Promise.all(servers.map((server) => server.end()))
  rmSync(folder, { recursive: true, force: true })
})

test('two users of two servers live with encryption', async (t) => {
  const [first, second] = servers
  assert.ok(first && second)
  try {
    await liveEncrypted(t, { first: first.baseUrl, second: second.baseUrl, dehydrates: true })
  } catch (error) {
    throw new Error(servers.map((server) => server.logTail(25)).join('\n---\n'), { cause: error })
  }
})
