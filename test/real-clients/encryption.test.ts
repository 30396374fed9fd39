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
import { before, test } from 'node:test'
import { hurryLibrary } from './crypto-client.ts'
import { liveEncrypted } from './encrypted-life.ts'
import { twoHansas } from './two-hansas.ts'

const servers = twoHansas()
before(hurryLibrary)

for (const sync of ['v3', 'sliding'] as const) {
  test(`two users of two servers live with encryption, by ${sync} sync`, async (t) => {
    const [first, second] = servers.map(({ baseUrl }) => baseUrl)
    assert.ok(first && second)
    try {
      await liveEncrypted(t, { first, second, dehydrates: true, syncs: [sync, sync] })
    } catch (error) {
      const logs = servers.map((server) => server.logTail(25)).join('\n---\n')
      throw new Error(logs, { cause: error })
    }
  })
}
