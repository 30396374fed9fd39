/**
 * The change of our own signing key.
 *
 * `hansa key rotate` makes the next key and leaves it beside the one in use. The server takes it at its
 * next start, so that nothing is signed with a key that has expired already: the old one is noted with
 * the time of its end, published among the `old_verify_keys` for ever, and good for what was signed
 * before. Its private half is not kept.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#publishing-keys
 *
 * @module
 */

import type { Clock } from '#io/clock.ts'
import type { Files } from '#io/files.ts'
import type { Random } from '#io/random.ts'
import { encodeBase64 } from '#protocol/base64.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import type { Signer } from '#rooms/remote-servers.ts'
import type { OldKey } from './own-keys.ts'
import {
  loadSigningKey,
  makeSigningKey,
  parseSigningKey,
  SigningKeyRefused,
} from './signing-key.ts'

interface KeyFiles {
  readonly files: Files
  readonly random: Random
}

/** The key file's companions. */
const nextOf = (path: string) => `${path}.next`
const oldOf = (path: string) => `${path}.old`

/** Makes the key that the server takes at its next start. Gives its ID. Throws if there is one already. */
export async function prepareNextKey(
  serverName: ServerName,
  path: string,
  { files, random }: KeyFiles,
): Promise<string> {
  if ((await files.readText(nextOf(path))) !== undefined) {
    throw new Error(`${nextOf(path)} is there already: the server takes it at its next start.`)
  }
  const text = makeSigningKey(random)
  await files.writeText(nextOf(path), text, { mode: 0o600 })
  return parseSigningKey(serverName, nextOf(path), text).keyId
}

/**
 * The key to sign with, and those before it. If a next one is there, it is taken from here on. Wherever
 * that is cut short, the next start completes it.
 */
export async function loadOwnKeys(
  serverName: ServerName,
  path: string,
  { files, random, clock }: KeyFiles & { readonly clock: Clock },
): Promise<{ readonly signer: Signer; readonly oldKeys: readonly OldKey[] }> {
  const current = await loadSigningKey(serverName, path, { files, random })
  let old = await readOldKeys(path, files)
  if ((await files.readText(nextOf(path))) !== undefined) {
    // It is refused here, before the one in use is given up.
    await loadSigningKey(serverName, nextOf(path), { files, random })
    const key = encodeBase64(current.publicKey)
    const others = old.filter(({ keyId }) => keyId !== current.keyId)
    old = [...others, { keyId: current.keyId, key, expiredTs: clock.now() }]
    await files.writeText(oldOf(path), old.map(lineOf).join(''))
    await files.rename(nextOf(path), path)
  }
  const signer = await loadSigningKey(serverName, path, { files, random })
  return { signer, oldKeys: old.filter(({ keyId }) => keyId !== signer.keyId) }
}

function lineOf({ keyId, key, expiredTs }: OldKey): string {
  return `${keyId} ${key} ${expiredTs}\n`
}

async function readOldKeys(path: string, files: Files): Promise<OldKey[]> {
  const text = (await files.readText(oldOf(path))) ?? ''
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [, keyId, key, expired] =
        /^(ed25519:\w+) ([A-Za-z0-9+/]{43}) (\d{1,15})$/.exec(line.trim()) ?? []
      if (keyId === undefined || key === undefined) {
        const format = 'an ID such as ed25519:a_AbCd, the public key in Base64, and when it expired'
        throw new SigningKeyRefused(`Each line of ${oldOf(path)} must be ${format}.`)
      }
      return { keyId, key, expiredTs: Number(expired) }
    })
}
