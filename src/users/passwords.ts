/**
 * Passwords: stored as argon2id in the PHC string format. Checking costs the same whether the user
 * exists or not, and only so many checks wait at a time.
 *
 * @module
 */

import { timingSafeEqual } from 'node:crypto'
import type { Argon2id, Argon2idRequest } from '#io/argon2id.ts'
import type { Random } from '#io/random.ts'
import { MatrixError } from '#protocol/matrix-error.ts'

/** A longer password is refused: it would only cost time. */
const passwordLengthMax = 512

/** Hashes under way or waiting; more would mean waiting for seconds. */
const waitingMax = 100

/** OWASP's second choice: 19 MiB, two passes, one lane. */
const costDefault = { memoryKib: 19_456, passes: 2, lanes: 1 }

const hashBytes = 32
const saltBytes = 16

export interface Passwords {
  /** The PHC string of a password. Throws 400 if the password will not do, 429 if we are too busy. */
  hash(password: string): Promise<string>
  /** Whether it is the password of that hash. Without a hash it is not, after the same time. */
  verify(hash: string | undefined, password: string): Promise<boolean>
}

export function createPasswords(needs: {
  readonly argon2id: Argon2id
  readonly random: Random
  /** How often argon2id passes over its memory. */
  readonly passes?: number | undefined
}): Passwords {
  const { random } = needs
  const cost = { ...costDefault, ...(needs.passes !== undefined && { passes: needs.passes }) }
  const argon2id = limited(needs.argon2id)
  const fresh = async (password: string) => {
    const salt = random.bytes(saltBytes)
    const hash = await argon2id({ ...cost, password: normal(password), salt, hashBytes })
    return phc(cost, salt, hash)
  }
  return {
    hash: async (password) => {
      if (password === '') throw new MatrixError(400, 'M_WEAK_PASSWORD', 'The password is empty.')
      if (password.length > passwordLengthMax) {
        const limit = `${passwordLengthMax} characters`
        throw new MatrixError(400, 'M_INVALID_PARAM', `The password has more than ${limit}.`)
      }
      return await fresh(password)
    },
    verify: async (hash, password) => {
      if (password.length > passwordLengthMax) return false
      const stored = hash === undefined ? undefined : readPhc(hash)
      if (stored === undefined) {
        await fresh(password)
        return false
      }
      const { expected, ...request } = stored
      const found = await argon2id({ ...request, password: normal(password) })
      return timingSafeEqual(found, expected)
    },
  }
}

/** The same password may be typed in composed and in decomposed letters. */
function normal(password: string): string {
  return password.normalize('NFKC')
}

function phc(cost: typeof costDefault, salt: Uint8Array, hash: Uint8Array): string {
  const { memoryKib, passes, lanes } = cost
  return `$argon2id$v=19$m=${memoryKib},t=${passes},p=${lanes}$${base64(salt)}$${base64(hash)}`
}

function readPhc(
  text: string,
): (Omit<Argon2idRequest, 'password'> & { expected: Uint8Array }) | undefined {
  const parts = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$([\w+/]+)\$([\w+/]+)$/.exec(text)
  if (parts === null) return undefined
  const [, memory, passes, lanes, salt = '', hash = ''] = parts
  const expected = Buffer.from(hash, 'base64')
  return {
    memoryKib: Number(memory),
    passes: Number(passes),
    lanes: Number(lanes),
    salt: Buffer.from(salt, 'base64'),
    hashBytes: expected.length,
    expected,
  }
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64').replaceAll('=', '')
}

function limited(argon2id: Argon2id): Argon2id {
  let waiting = 0
  return async (request) => {
    if (waiting >= waitingMax) {
      const extra = { retry_after_ms: 2_000 }
      throw new MatrixError(429, 'M_LIMIT_EXCEEDED', 'Too many are logging in.', { extra })
    }
    waiting += 1
    try {
      return await argon2id(request)
    } finally {
      waiting -= 1
    }
  }
}
