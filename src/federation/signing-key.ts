/**
 * Our own signing key: a file of one line, `ed25519 a_AbCd <seed in Base64>`, in the format that
 * Synapse uses, so that a server can bring its key along.
 *
 * The key is what makes this server this server. It is made at the first start and never changed by
 * the program; a file that others can read, or a key that others know, is refused at start.
 *
 * @module
 */

import type { Files } from '#io/files.ts'
import type { Random } from '#io/random.ts'
import { decodeBase64, encodeBase64 } from '#protocol/base64.ts'
import { signingKeyOf } from '#protocol/ed25519.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import { isKeyVersion } from '#protocol/identifiers/key-id.ts'
import type { Signer } from '#rooms/remote-servers.ts'
import { isPublishedKey } from './published-keys.ts'

/** The key file cannot be used; the message says what to do. */
export class SigningKeyRefused extends Error {
  override readonly name = 'SigningKeyRefused'
}

/** Reads the key file; makes it if there is none. Throws `SigningKeyRefused`. */
export async function loadSigningKey(
  serverName: ServerName,
  path: string,
  { files, random }: { readonly files: Files; readonly random: Random },
): Promise<Signer> {
  const text = await files.readText(path)
  if (text === undefined) {
    const made = makeSigningKey(random)
    await files.writeText(path, made, { mode: 0o600 })
    return parseSigningKey(serverName, path, made)
  }
  const mode = (await files.mode(path)) ?? 0
  if ((mode & 0o077) !== 0) {
    const octal = mode.toString(8).padStart(4, '0')
    throw new SigningKeyRefused(
      `The signing key ${path} can be read or written by others (mode ${octal}): chmod 600 it.`,
    )
  }
  return parseSigningKey(serverName, path, text)
}

/** The text of a new key file. */
export function makeSigningKey(random: Random): string {
  const letters = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'
  const version = [...random.bytes(4)].map((byte) => letters[byte % letters.length]).join('')
  return `ed25519 a_${version} ${encodeBase64(random.bytes(32))}\n`
}

/** The signer of a key file's text. Throws `SigningKeyRefused`. */
export function parseSigningKey(serverName: ServerName, path: string, text: string): Signer {
  const refuse = (problem: string) => new SigningKeyRefused(`The signing key ${path} ${problem}.`)
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  const [algorithm, version, seedText, ...rest] = (lines[0] ?? '').trim().split(/\s+/)
  if (lines.length !== 1 || seedText === undefined || rest.length > 0) {
    throw refuse('must be one line: ed25519, a version, and the seed in Base64')
  }
  if (algorithm !== 'ed25519') throw refuse('must be of the algorithm ed25519')
  // The version must have characters matching the regular expression [a-zA-Z0-9_].
  if (!isKeyVersion(version ?? '')) throw refuse('has a version that is not of a-z, A-Z, 0-9 and _')
  const seed = decodeBase64(seedText)
  if (seed?.length !== 32) throw refuse('must have a seed of 32 bytes in Base64')
  const key = signingKeyOf(seed)
  if (isPublishedKey(key.publicKey)) {
    throw refuse('is one that anybody can know: remove the file, and a new one is made')
  }
  const sign = (message: Uint8Array) => key.sign(message)
  return { serverName, keyId: `ed25519:${version}`, publicKey: key.publicKey, sign }
}
