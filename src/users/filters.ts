/**
 * Filters of /sync that clients keep here, so as not to send them each time.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#filtering
 *
 * @module
 */

import { createHash } from 'node:crypto'
import type { UserId } from '#protocol/identifiers/ids.ts'
import { isJsonObject, type JsonObject } from '#protocol/json.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Database } from '#storage/database.ts'
import { addFilter, filterCount, filterOf } from '#storage/filters.ts'

const filtersOfUserMax = 1_000

export interface Filters {
  /** Keeps a filter and gives its ID; the same filter has the same ID. */
  add(userId: UserId, filter: JsonObject): Promise<string>
  get(userId: UserId, filterId: string): Promise<JsonObject | undefined>
}

export function createFilters({ db }: { readonly db: Database }): Filters {
  return {
    add: async (userId, filter) => {
      const json = JSON.stringify(filter)
      const filterId = createHash('sha256').update(json).digest('hex').slice(0, 24)
      if ((await filterOf(db, userId, filterId)) !== undefined) return filterId
      if ((await filterCount(db, userId)) >= filtersOfUserMax) {
        throw new MatrixError(400, 'M_RESOURCE_LIMIT_EXCEEDED', 'There are too many filters.')
      }
      await db.write((tx) => addFilter(tx, userId, filterId, json))
      return filterId
    },
    get: async (userId, filterId) => {
      const json = await filterOf(db, userId, filterId)
      const filter: unknown = json === undefined ? undefined : JSON.parse(json)
      return isJsonObject(filter) ? filter : undefined
    },
  }
}
