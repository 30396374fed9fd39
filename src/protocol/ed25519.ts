/**
 * Ed25519, by libsodium where the optional package `sodium-native` loads, else by Node's OpenSSL,
 * which takes 1.7 times as long to verify.
 *
 * Libraries disagree on signatures that no honest signer makes, and servers that disagree on a signature
 * split a room. So there is one rule, that of libsodium, which Synapse uses too. It accepts a signature
 * only if
 * - neither the public key nor the first half of the signature, R, is one of the few points of small
 *   order, in any of their encodings: with such a key one signature fits many messages;
 * - the second half, S, is below the order of the group, so that nobody can make another signature
 *   out of a valid one;
 * - R is byte for byte the encoding of S·B - k·A, without the cofactor. For this reason signatures are
 *   never verified in batches: a batch holds with the cofactor only.
 *
 * The first is checked here, before either library is asked: OpenSSL 3.0 does not. (Encodings of other
 * points that are not reduced need no check: nobody knows a private key to one.)
 *
 * https://spec.matrix.org/v1.19/appendices/#signing-details
 *
 * @module
 */

import {
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  sign as signWithOpenSsl,
  verify as verifyWithOpenSsl,
} from 'node:crypto'
import { loadSodium } from './sodium.ts'

/** The two operations of a library. `publicKey` is 32 bytes, `signature` 64. */
export interface Ed25519Library {
  readonly name: 'libsodium' | 'OpenSSL'
  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean
  /** The key pair of a seed of 32 bytes. */
  signingKey(seed: Uint8Array): SigningKey
}

/** A key to sign with. */
export interface SigningKey {
  /** 32 bytes. */
  readonly publicKey: Uint8Array
  /** A signature of 64 bytes. */
  sign(message: Uint8Array): Uint8Array
}

/** Whether `signature` is one of `message` by the owner of `publicKey`. Wrong lengths are no error. */
export function verifyEd25519(
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
  library: Ed25519Library = fastestLibrary,
): boolean {
  if (publicKey.length !== 32 || signature.length !== 64) return false
  if (isSmallOrder(publicKey) || isSmallOrder(signature)) return false
  return library.verify(publicKey, message, signature)
}

/** The key pair of a seed of 32 bytes. */
export function signingKeyOf(
  seed: Uint8Array,
  library: Ed25519Library = fastestLibrary,
): SigningKey {
  return library.signingKey(seed)
}

/** Whether the first 32 bytes encode a point of small order, in any encoding and with any sign. */
function isSmallOrder(point: Uint8Array): boolean {
  return smallOrderPoints.some((small) => {
    if ((((point[31] ?? 0) ^ (small[31] ?? 0)) & 0x7f) !== 0) return false
    for (let at = 0; at < 31; at++) if (point[at] !== small[at]) return false
    return true
  })
}

/**
 * The y coordinates of the points whose order divides 8: 0, 1, -1, the two of order 8, and the
 * encodings of 0 and 1 that are not reduced.
 */
const smallOrderPoints: readonly Uint8Array[] = [
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
].map((hex) => Buffer.from(hex, 'hex'))

/** OpenSSL wants keys as objects, which cost as much to make as a tenth of a verification. */
const keyObjects = new Map<string, KeyObject>()
const keyObjectsMax = 10_000

function keyObjectOf(publicKey: Uint8Array): KeyObject {
  const hex = Buffer.from(publicKey).toString('latin1')
  const known = keyObjects.get(hex)
  if (known !== undefined) return known
  // The fixed start of a SubjectPublicKeyInfo of Ed25519 (RFC 8410).
  const der = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), publicKey])
  const keyObject = createPublicKey({ key: der, format: 'der', type: 'spki' })
  if (keyObjects.size >= keyObjectsMax) keyObjects.clear()
  keyObjects.set(hex, keyObject)
  return keyObject
}

export const openSsl: Ed25519Library = {
  name: 'OpenSSL',
  verify: (publicKey, message, signature) =>
    verifyWithOpenSsl(null, message, keyObjectOf(publicKey), signature),
  signingKey(seed) {
    // The fixed start of a PKCS#8 private key of Ed25519 (RFC 8410).
    const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed])
    const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
    const spki = createPublicKey(key).export({ format: 'der', type: 'spki' })
    return {
      publicKey: spki.subarray(-32),
      sign: (message) => signWithOpenSsl(null, message, key),
    }
  },
}

/** What of `sodium-native` is used here. */
interface Sodium {
  crypto_sign_verify_detached(signature: Uint8Array, message: Uint8Array, key: Uint8Array): boolean
  crypto_sign_detached(signature: Uint8Array, message: Uint8Array, secretKey: Uint8Array): void
  crypto_sign_seed_keypair(publicKey: Uint8Array, secretKey: Uint8Array, seed: Uint8Array): void
}

const sodium = loadSodium<Sodium>()

export const libsodium: Ed25519Library | undefined = sodium && libraryOf(sodium)

const fastestLibrary: Ed25519Library = libsodium ?? openSsl

function libraryOf(sodium: Sodium): Ed25519Library {
  return {
    name: 'libsodium',
    verify: (publicKey, message, signature) =>
      sodium.crypto_sign_verify_detached(signature, message, publicKey),
    signingKey(seed) {
      const publicKey = Buffer.alloc(32)
      const secretKey = Buffer.alloc(64)
      sodium.crypto_sign_seed_keypair(publicKey, secretKey, seed)
      return {
        publicKey,
        sign(message) {
          const signature = Buffer.alloc(64)
          sodium.crypto_sign_detached(signature, message, secretKey)
          return signature
        },
      }
    },
  }
}
