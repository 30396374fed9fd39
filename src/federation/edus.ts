/**
 * Ephemeral data units, in and out.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#edus
 *
 * @module
 */

import type { ServerName } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'
import type { Writer } from '#storage/database.ts'

export interface Edu {
  readonly edu_type: string
  readonly content: JsonObject
}

/** Sends EDUs to other servers. */
export interface EduSender {
  /**
   * Queues an EDU for each destination but ourselves, until a restart, or until a destination does not
   * answer. A newer one with the same `key` replaces one that has not been sent.
   */
  sendEdu(destinations: readonly ServerName[], edu: Edu, key: string): void
  /**
   * Queues an EDU that survives a restart, in the unit that stores what it tells of: else a crash
   * between the two would leave others untold for ever. Gives the destinations without ourselves, to
   * `wake` after the commit.
   */
  saveEdu(
    tx: Writer,
    destinations: readonly ServerName[],
    edu: Edu,
    key: string,
  ): readonly ServerName[]
  /** Rows of an outbox were written for these servers. */
  wake(destinations: readonly ServerName[]): void
}

/** Takes an EDU that `origin` sent. Whoever registers checks that the origin may say it. */
export type EduReceiver = (origin: ServerName, content: JsonObject) => Promise<void>
