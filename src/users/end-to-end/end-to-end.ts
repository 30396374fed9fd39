/**
 * End-to-end encryption, as far as a server has a part in it: it keeps and hands on keys that it
 * cannot use.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#end-to-end-encryption
 *
 * @module
 */

import type { ServerName, UserId } from '#protocol/identifiers/ids.ts'
import type { Database } from '#storage/database.ts'
import type { Accounts } from '../accounts.ts'
import { createLocalKeys, type LocalKeys } from './device-keys.ts'
import { createKeyQueries, type KeyQueries } from './key-queries.ts'

export interface EndToEnd {
  readonly localKeys: LocalKeys
  readonly keyQueries: KeyQueries
}

export interface EndToEndNeeds {
  readonly db: Database
  readonly serverName: ServerName
  readonly accounts: Pick<Accounts, 'account'>
}

export function createEndToEnd(needs: EndToEndNeeds): EndToEnd {
  const isKnown = async (userId: UserId) => (await needs.accounts.account(userId)) !== undefined
  const localKeys = createLocalKeys({ ...needs, isKnown })
  return { localKeys, keyQueries: createKeyQueries({ ...needs, localKeys }) }
}
