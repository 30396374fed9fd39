/**
 * Users with cross-signing keys that sign as clients do: for tests.
 *
 * @module
 */

import { encodeBase64 } from '../src/protocol/base64.ts'
import { canonicalJson } from '../src/protocol/canonical-json.ts'
import { type SigningKey, signingKeyOf } from '../src/protocol/ed25519.ts'
import type { UserId } from '../src/protocol/identifiers/ids.ts'

type KeyName = 'master' | 'self_signing' | 'user_signing' | `device ${string}`
type Signed = { readonly signatures?: object } & object

export class CrossSigner {
  readonly userId: UserId
  readonly #seed: number
  readonly #keys = new Map<KeyName, SigningKey>()

  /** Of another seed, the same user has other keys. */
  constructor(userId: UserId, seed = 1) {
    this.userId = userId
    this.#seed = seed
  }

  /** A public key in unpadded Base64. */
  publicKey(name: KeyName): string {
    return encodeBase64(this.#key(name).publicKey)
  }

  /** A cross-signing key; all but the master key are signed by it. */
  key(name: 'master' | 'self_signing' | 'user_signing', signed = name !== 'master') {
    const publicKey = this.publicKey(name)
    const keys = { [`ed25519:${publicKey}`]: publicKey }
    const key = { user_id: this.userId, usage: [name], keys }
    return signed ? this.sign(key, 'master') : key
  }

  /** What is uploaded to begin with. */
  get upload() {
    return {
      master_key: this.key('master'),
      self_signing_key: this.key('self_signing'),
      user_signing_key: this.key('user_signing'),
    }
  }

  /** The identity keys of a device, signed by it. */
  deviceKeys(deviceId: string) {
    const keys = {
      [`curve25519:${deviceId}`]: '3C5BFWi2Y8MaVvjM8M22DBmh24PmgR0nPvJOIArzgyI',
      [`ed25519:${deviceId}`]: this.publicKey(`device ${deviceId}`),
    }
    const algorithms = ['m.olm.v1.curve25519-aes-sha2', 'm.megolm.v1.aes-sha2']
    const device = { user_id: this.userId, device_id: deviceId, algorithms, keys }
    return this.sign(device, `device ${deviceId}`)
  }

  /** An object with one signature of this user's more. */
  sign<T extends Signed>(object: T, by: KeyName, signature = this.signature(object, by)) {
    const all: Record<string, object> = { ...object.signatures }
    const ours = { ...all[this.userId], [this.keyId(by)]: signature }
    return { ...object, signatures: { ...all, [this.userId]: ours } }
  }

  signature(object: Signed, by: KeyName): string {
    const { signatures: _, ...signed } = object
    return encodeBase64(this.#key(by).sign(Buffer.from(canonicalJson(signed as never))))
  }

  keyId(name: KeyName): string {
    const isDevice = name.startsWith('device ')
    return `ed25519:${isDevice ? name.slice('device '.length) : this.publicKey(name)}`
  }

  #key(name: KeyName): SigningKey {
    const text = `${this.userId} ${name} ${this.#seed}`
    return this.#keys.getOrInsertComputed(name, () => {
      const seed = Buffer.alloc(32)
      for (let at = 0; at < text.length; at++) {
        seed[at % 32] = ((seed[at % 32] ?? 0) * 31 + text.charCodeAt(at)) & 0xff
      }
      return signingKeyOf(seed)
    })
  }
}
