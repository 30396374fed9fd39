/**
 * Two users with the library that Element Web is made with, one on a Hansa and one on a Synapse: they
 * write to each other, encrypted, verify each other, and read the past on a new device.
 *
 * Run it with `--test-force-exit`: the library leaves a timer behind for each request.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { hurryLibrary } from '../real-clients/crypto-client.ts'
import { liveEncrypted } from '../real-clients/encrypted-life.ts'
import { Federation } from './federation.ts'

const started = await Federation.start()
const skip = typeof started === 'string' ? started : false

// By default the first is a Synapse, the others are Hansas.
before(hurryLibrary)

// The user of the other server syncs by `/sync`: a Synapse does not tell who joins by an invite, in a sliding
// sync, that the room is encrypted.
for (const sync of ['v3', 'sliding'] as const) {
  test(`a user of this server and one of another live with encryption, by ${sync} sync`, {
    skip,
  }, async (t) => {
    assert.ok(typeof started !== 'string')
    const [second, first] = started.members.map(({ process }) => process.baseUrl)
    assert.ok(first && second)
    await started.explaining(() =>
      liveEncrypted(t, { first, second, dehydrates: true, syncs: [sync, 'v3'] }),
    )
  })

  test(`so do one of another server and one of this, by ${sync} sync`, { skip }, async (t) => {
    assert.ok(typeof started !== 'string')
    const [first, second] = started.members.map(({ process }) => process.baseUrl)
    assert.ok(first && second)
    await started.explaining(() =>
      liveEncrypted(t, { first, second, dehydrates: false, syncs: ['v3', sync] }),
    )
  })
}
