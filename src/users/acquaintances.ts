/**
 * What other servers are told of our users, and which: all of them, or those whose users may know them
 * anyway. Whom a server may not know does not exist for it: both are answered alike.
 *
 * SPEC: it only says that they are to be told of users of this server.
 *
 * @module
 */

import type { ServerName, UserId } from '#protocol/identifiers/ids.ts'
import type { Reader } from '#storage/database.ts'
import { isAcquainted } from '#storage/memberships.ts'

/** Who is told: every server, or one with users who are, were or may come into a room with ours. */
export type Audience = 'anyone' | 'shared_rooms'

export interface Audiences {
  readonly profiles: Audience
  /** Of devices, and of all keys. */
  readonly keys: Audience
}

export class Acquaintances {
  readonly #db: Reader
  readonly #audiences: Audiences

  constructor({ db }: { readonly db: Reader }, audiences: Audiences) {
    this.#db = db
    this.#audiences = audiences
  }

  /** Whether a server may learn this of a user, if there is such a user. */
  async mayKnow(server: ServerName, what: keyof Audiences, userId: UserId): Promise<boolean> {
    return this.#audiences[what] === 'anyone' || (await isAcquainted(this.#db, userId, server))
  }

  /** Those users of whom a server may learn this. */
  async known(
    server: ServerName,
    what: keyof Audiences,
    userIds: Iterable<UserId>,
  ): Promise<ReadonlySet<UserId>> {
    const known = new Set<UserId>()
    for (const userId of userIds) if (await this.mayKnow(server, what, userId)) known.add(userId)
    return known
  }
}
