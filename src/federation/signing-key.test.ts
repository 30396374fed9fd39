import assert from 'node:assert/strict'
import { test } from 'node:test'
import { realRandom } from '#io/real-random.ts'
import { simulatedFiles } from '#io/simulated/simulated-files.ts'
import { encodeBase64 } from '#protocol/base64.ts'
import { verifyEd25519 } from '#protocol/ed25519.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import { loadSigningKey, SigningKeyRefused } from './signing-key.ts'

const us = 'us.test' as ServerName
const path = '/data/signing.key'
// The seed and public key of the first test of RFC 8032, section 7.1.
const seed = 'nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A'
const publicKey = '11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo'

test('a key is made at the first start, readable by its owner alone, and then kept', async () => {
  const files = simulatedFiles()
  const made = await loadSigningKey(us, path, { files, random: realRandom })
  assert.match((await files.readText(path)) ?? '', /^ed25519 a_[a-zA-Z]{4} [A-Za-z0-9+/]{43}\n$/)
  assert.equal(await files.mode(path), 0o600)
  const message = Buffer.from('hello')
  assert.ok(verifyEd25519(made.publicKey, message, made.sign(message)))
  const loaded = await loadSigningKey(us, path, { files, random: realRandom })
  assert.deepEqual([loaded.keyId, loaded.publicKey], [made.keyId, made.publicKey])
})

test('no two servers make the same key', async () => {
  const keys = new Set<string>()
  for (let count = 0; count < 1000; count += 1) {
    const files = simulatedFiles()
    const { publicKey: key } = await loadSigningKey(us, path, { files, random: realRandom })
    keys.add(encodeBase64(key))
  }
  assert.equal(keys.size, 1000)
})

const cases: [string, string, number, RegExp | undefined][] = [
  ['as Synapse writes it', `ed25519 a_AbCd ${seed}\n`, 0o600, undefined],
  ['readable by its owner only', `ed25519 1 ${seed}`, 0o400, undefined],
  ['readable by the group', `ed25519 1 ${seed}`, 0o640, /mode 0640.*chmod 600/],
  ['readable by all', `ed25519 1 ${seed}`, 0o644, /chmod 600/],
  ['empty', '', 0o600, /one line/],
  ['two keys', `ed25519 1 ${seed}\ned25519 2 ${seed}`, 0o600, /one line/],
  ['another algorithm', `rsa 1 ${seed}`, 0o600, /ed25519/],
  ['a version with a colon', `ed25519 a:b ${seed}`, 0o600, /version/],
  ['a short seed', 'ed25519 1 AAAA', 0o600, /32 bytes/],
  ['no Base64', `ed25519 1 ${'!'.repeat(43)}`, 0o600, /32 bytes/],
  ['zeros', `ed25519 1 ${'A'.repeat(43)}`, 0o600, /anybody can know/],
  [
    "the spec's example",
    'ed25519 1 YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1',
    0o600,
    /anybody can know/,
  ],
]

for (const [name, text, mode, refusal] of cases) {
  test(`a key file: ${name}`, async () => {
    const files = simulatedFiles()
    await files.writeText(path, text, { mode })
    const loading = loadSigningKey(us, path, { files, random: realRandom })
    if (refusal === undefined) {
      const signer = await loading
      assert.equal(encodeBase64(signer.publicKey), publicKey)
      assert.match(signer.keyId, /^ed25519:(a_AbCd|1)$/)
    } else {
      await assert.rejects(loading, (error: Error) => {
        assert.ok(error instanceof SigningKeyRefused)
        assert.match(error.message, refusal)
        return true
      })
    }
  })
}
