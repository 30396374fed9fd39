import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Files } from '#io/files.ts'
import { realRandom } from '#io/real-random.ts'
import { VirtualTime } from '#io/simulated/simulated-clock.ts'
import { simulatedFiles } from '#io/simulated/simulated-files.ts'
import { encodeBase64 } from '#protocol/base64.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import { loadOwnKeys, prepareNextKey } from './key-rotation.ts'
import { createOwnKeys } from './own-keys.ts'

const us = 'us.test' as ServerName
const path = '/data/signing.key'

function open(files: Files = simulatedFiles()) {
  const time = new VirtualTime()
  const clock = time.clock()
  const load = (with_: Files = files) =>
    loadOwnKeys(us, path, { files: with_, random: realRandom, clock })
  const prepare = () => prepareNextKey(us, path, { files, random: realRandom })
  return { time, clock, files, load, prepare }
}

test('the next key is taken at the next start, and the one before stays known with its end', async () => {
  const { time, clock, files, load, prepare } = open()
  const first = await load()
  assert.deepEqual(first.oldKeys, [])
  const nextId = await prepare()
  assert.equal(await files.mode(`${path}.next`), 0o600)
  await assert.rejects(prepare(), /next start/)
  await time.run(60_000)
  const startedTs = clock.now()
  const second = await load()
  assert.equal(second.signer.keyId, nextId)
  const key = encodeBase64(first.signer.publicKey)
  assert.deepEqual(second.oldKeys, [{ keyId: first.signer.keyId, key, expiredTs: startedTs }])
  await time.run(60_000)
  assert.deepEqual((await load()).oldKeys, second.oldKeys)
  await prepare()
  const third = await load()
  assert.deepEqual(
    third.oldKeys.map(({ keyId }) => keyId),
    [first.signer.keyId, nextId],
  )
  // What we publish is signed with the new key, and names the others as expired.
  const answer = createOwnKeys(third.signer, clock, third.oldKeys)()
  assert.deepEqual(Object.keys(answer.verify_keys as object), [third.signer.keyId])
  assert.deepEqual(Object.keys(answer.old_verify_keys as object), [first.signer.keyId, nextId])
  // The private halves of old keys are nowhere.
  const kept = await files.readText(`${path}.old`)
  assert.equal(kept?.split('\n').length, 3)
})

test('wherever the change is cut short, the next start completes it', async () => {
  for (let steps = 0; ; steps += 1) {
    const { files, load, prepare } = open()
    const first = await load()
    const nextId = await prepare()
    let left = steps
    const dying = (): void => {
      if (left === 0) throw new Error('killed')
      left -= 1
    }
    const cut: Files = {
      ...files,
      writeText: async (...args) => {
        dying()
        await files.writeText(...args)
      },
      rename: async (...args) => {
        dying()
        await files.rename(...args)
      },
    }
    const isCut = await load(cut).then(
      () => false,
      () => true,
    )
    const { signer, oldKeys } = await load()
    assert.equal(signer.keyId, nextId)
    assert.deepEqual(
      oldKeys.map(({ keyId }) => keyId),
      [first.signer.keyId],
    )
    if (!isCut) return void assert.equal(steps, 2)
  }
})

test('a next key that cannot be used, or a list that cannot be read, is refused, and nothing is lost', async () => {
  const { files, load } = open()
  const first = await load()
  await files.writeText(`${path}.next`, 'ed25519 1 AAAA', { mode: 0o600 })
  await assert.rejects(load(), { name: 'SigningKeyRefused' })
  await files.remove(`${path}.next`)
  assert.equal((await load()).signer.keyId, first.signer.keyId)
  await files.writeText(`${path}.old`, 'ed25519:1 short 5\n')
  await assert.rejects(load(), /Each line/)
})
