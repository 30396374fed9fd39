/**
 * Hashing passwords: work of tens of milliseconds, so it is done on other threads.
 *
 * @module
 */

import { argon2, argon2Sync } from 'node:crypto'
import { promisify } from 'node:util'

export interface Argon2idRequest {
  readonly password: string
  readonly salt: Uint8Array
  readonly memoryKib: number
  readonly passes: number
  readonly lanes: number
  readonly hashBytes: number
}

export type Argon2id = (request: Argon2idRequest) => Promise<Uint8Array>

const argon2OnThreads = promisify(argon2)

export const realArgon2id: Argon2id = (request) => argon2OnThreads('argon2id', parameters(request))

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
