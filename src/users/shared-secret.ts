/**
 * Registration by whoever knows a secret: the way in which Synapse lets programs make accounts, and
 * which bots and test rigs know. The secret itself is never sent, but an HMAC made with it over what
 * is asked for and a nonce of ours.
 *
 * https://element-hq.github.io/synapse/latest/admin_api/register_api.html
 *
 * @module
 */

import { createHmac, timingSafeEqual } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Clock } from '#io/clock.ts'
import type { Random } from '#io/random.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import { randomWord } from './tokens.ts'

const noncesMax = 1_000
const nonceMs = 60_000

export interface SharedSecretRequest {
  readonly nonce: string
  readonly username: string
  readonly password: string
  readonly admin: boolean
  readonly userType: string | undefined
  readonly mac: string
}

export interface SharedSecret {
  /** A nonce, good once and for a minute. */
  nonce(): string
  /** Throws unless the request was made with the secret. */
  check(request: SharedSecretRequest): void
}

/** What the MAC of a request must be. */
function macOf(secret: string, request: Omit<SharedSecretRequest, 'mac'>): string {
  const parts = [request.nonce, request.username, request.password]
  parts.push(request.admin ? 'admin' : 'notadmin')
  if (request.userType !== undefined) parts.push(request.userType)
  return createHmac('sha1', secret).update(parts.join('\0')).digest('hex')
}

export function createSharedSecret(
  needs: { readonly clock: Clock; readonly random: Random },
  secret: string | undefined,
): SharedSecret {
  const { clock, random } = needs
  const nonces = new LRUCache<string, number>({ maxSize: noncesMax, sizeCalculation: () => 1 })
  const known = () => {
    if (secret !== undefined) return secret
    throw new MatrixError(400, 'M_UNKNOWN', 'Registration by a shared secret is not enabled.')
  }
  return {
    nonce: () => {
      known()
      const nonce = randomWord(random, 32)
      nonces.set(nonce, clock.monotonicMs() + nonceMs)
      return nonce
    },
    check: (request) => {
      const expected = Buffer.from(macOf(known(), request))
      const endMs = nonces.get(request.nonce)
      nonces.delete(request.nonce)
      if (endMs === undefined || endMs <= clock.monotonicMs()) {
        throw new MatrixError(400, 'M_UNKNOWN', 'The nonce is not known: ask for one first.')
      }
      const found = Buffer.from(request.mac.toLowerCase())
      if (found.length !== expected.length || !timingSafeEqual(found, expected)) {
        throw new MatrixError(403, 'M_UNKNOWN', 'The HMAC is not right.')
      }
    },
  }
}
