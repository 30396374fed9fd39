/**
 * Hashing passwords: work of tens of milliseconds, so it is done on other threads.
 *
 * It is done by libsodium where the optional package `sodium-native` loads, for hashes that it can make.
 * Of the memory that a hash is filled through nothing is left when it is made: OpenSSL leaves it to `malloc`,
 * which keeps the size of one hash for each thread, 100 MiB in all, for good. It also takes a third less
 * time.
 *
 * @module
 */

import { argon2, argon2Sync } from 'node:crypto'
import { promisify } from 'node:util'
import { loadSodium } from '../protocol/sodium.ts'

export interface Argon2idRequest {
  readonly password: string
  readonly salt: Uint8Array
  readonly memoryKib: number
  readonly passes: number
  readonly lanes: number
  readonly hashBytes: number
}

export type Argon2id = (request: Argon2idRequest) => Promise<Uint8Array>

/** What of `sodium-native` is used here. */
interface Sodium {
  readonly crypto_pwhash_ALG_ARGON2ID13: number
  readonly crypto_pwhash_SALTBYTES: number
  readonly crypto_pwhash_BYTES_MIN: number
  crypto_pwhash_async(
    hash: Uint8Array,
    password: Uint8Array,
    salt: Uint8Array,
    passes: number,
    memoryBytes: number,
    algorithm: number,
  ): Promise<void>
}

const sodium = loadSodium<Sodium>()

const argon2OnThreads = promisify(argon2)

export const openSslArgon2id: Argon2id = (request) =>
  argon2OnThreads('argon2id', parameters(request))

export const realArgon2id: Argon2id = (request) =>
  sodium !== undefined && isForSodium(sodium, request)
    ? sodiumHash(sodium, request)
    : openSslArgon2id(request)

/** libsodium makes hashes of one lane alone, and wants salts of one length. */
function isForSodium(
  { crypto_pwhash_SALTBYTES, crypto_pwhash_BYTES_MIN }: Sodium,
  { salt, lanes, hashBytes }: Argon2idRequest,
): boolean {
  return (
    lanes === 1 && salt.length === crypto_pwhash_SALTBYTES && hashBytes >= crypto_pwhash_BYTES_MIN
  )
}

async function sodiumHash(
  { crypto_pwhash_async, crypto_pwhash_ALG_ARGON2ID13 }: Sodium,
  { password, salt, memoryKib, passes, hashBytes }: Argon2idRequest,
): Promise<Uint8Array> {
  const hash = Buffer.alloc(hashBytes)
  const bytes = Buffer.from(password)
  const memoryBytes = memoryKib * 1024
  const algorithm = crypto_pwhash_ALG_ARGON2ID13
  await crypto_pwhash_async(hash, bytes, salt, passes, memoryBytes, algorithm)
  return hash
}

/**
 * At once and on this thread, so that the simulation is the same each time; and with little memory,
 * since nobody attacks its passwords.
 */
export const simulatedArgon2id: Argon2id = async (request) =>
  argon2Sync('argon2id', { ...parameters(request), memory: 8 })

function parameters(request: Argon2idRequest) {
  return {
    message: request.password,
    nonce: request.salt,
    memory: request.memoryKib,
    passes: request.passes,
    parallelism: request.lanes,
    tagLength: request.hashBytes,
  }
}
