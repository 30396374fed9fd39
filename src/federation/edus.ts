/**
 * Ephemeral data units, in and out.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#edus
 *
 * @module
 */

import type { ServerName } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'

export interface Edu {
  readonly edu_type: string
  readonly content: JsonObject
}

/** Sends EDUs to other servers. */
export interface EduSender {
  /**
   * Queues an EDU for each destination but ourselves. A newer one with the same `key` replaces one
   * that has not been sent. `lasting` ones survive a restart; the others are dropped by one, and by
   * a destination that does not answer.
   */
  sendEdu(
    destinations: readonly ServerName[],
    edu: Edu,
    options: { readonly key: string; readonly lasting: boolean },
  ): void
  /** Rows of an outbox were written for these servers. */
  wake(destinations: readonly ServerName[]): void
}

/** Takes an EDU that `origin` sent. Whoever registers checks that the origin may say it. */
export type EduReceiver = (origin: ServerName, content: JsonObject) => Promise<void>
