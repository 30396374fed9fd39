/** Where calls are carried: as it is set, or nowhere. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { roomClientWorld } from '../../test/room-client-world.ts'

const targets = [
  '/_matrix/client/v1/rtc/transports',
  '/_matrix/client/unstable/org.matrix.msc4143/rtc/transports',
]

test('clients are told what carries calls', async (t) => {
  const url = 'https://calls.hansa.test/livekit'
  const { user, ask } = await roomClientWorld(t, { livekitServiceUrls: [url] })
  const alice = await user('alice')
  for (const target of targets) {
    assert.deepEqual(await alice.get(target), {
      rtc_transports: [{ type: 'livekit', livekit_service_url: url }],
    })
    assert.equal((await ask('GET', target)).body.errcode, 'M_MISSING_TOKEN')
  }
})

test('where nothing carries calls, there is no such endpoint', async (t) => {
  const { user } = await roomClientWorld(t)
  const alice = await user('alice')
  for (const target of targets) {
    assert.equal(await alice.refused('GET', target), '404 M_UNRECOGNIZED')
  }
})
