/**
 * The sessions of access tokens that were used lately, by the hash of the token.
 *
 * @module
 */

import { LRUCache } from 'lru-cache'
import type { UserId } from '#protocol/identifiers/ids.ts'
import type { UserSession } from './sessions.ts'

const knownMax = 50_000

export interface KnownSession extends UserSession {
  readonly expiresTs: number | null
}

export class KnownTokens {
  readonly #sessions: LRUCache<string, KnownSession>
  readonly #hashes = new Map<UserId, Set<string>>()
  /** How often something was forgotten. What was read before that is not to be remembered after. */
  forgettings = 0

  constructor() {
    this.#sessions = new LRUCache<string, KnownSession>({
      maxSize: knownMax,
      sizeCalculation: () => 1,
      dispose: (session, hash) => this.#unlist(session.userId, hash),
    })
  }

  get(hash: string): KnownSession | undefined {
    return this.#sessions.get(hash)
  }

  set(hash: string, session: KnownSession): void {
    this.#sessions.set(hash, session)
    const hashes = this.#hashes.get(session.userId) ?? new Set()
    this.#hashes.set(session.userId, hashes.add(hash))
  }

  /** Forgets all sessions of a user, after a change of any of them. */
  forget(userId: UserId): void {
    this.forgettings += 1
    for (const hash of [...(this.#hashes.get(userId) ?? [])]) this.#sessions.delete(hash)
  }

  #unlist(userId: UserId, hash: string): void {
    const hashes = this.#hashes.get(userId)
    hashes?.delete(hash)
    if (hashes?.size === 0) this.#hashes.delete(userId)
  }
}
