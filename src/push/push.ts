/**
 * Notifications: whom an event is told, what they have not read, and who is to be woken.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#push-notifications
 *
 * @module
 */

import type { Clock } from '#io/clock.ts'
import type { Log } from '#io/log.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import type { LocalRooms } from '#rooms/create-engine.ts'
import type { Rooms } from '#rooms/rooms.ts'
import type { Database } from '#storage/database.ts'
import type { AccountData } from '#users/account-data.ts'
import type { Receipts } from '#users/receipts.ts'
import { newsTaker, type UnreadChanges } from './notify.ts'
import { createRecipients } from './recipients.ts'
import { createTrimmer } from './trim.ts'
import { createUnread, type Unread } from './unread.ts'

export interface Push {
  readonly unread: Unread
}

export interface PushNeeds {
  readonly db: Database
  readonly clock: Clock
  readonly log: Log
  readonly serverName: ServerName
  readonly rooms: Pick<Rooms, 'membershipsOf'>
  readonly local: Pick<LocalRooms, 'setNewsTaker'>
  readonly accountData: Pick<AccountData, 'onChange'>
  readonly receipts: Pick<Receipts, 'onRead'>
}

export function createPush(needs: PushNeeds): Push {
  const { local, accountData, receipts } = needs
  const recipients = createRecipients(needs)
  const unread = createUnread(needs)
  const trim = createTrimmer(needs)
  const changed = (changes: UnreadChanges) => {
    unread.changed(changes)
    trim(changes.roomId)
  }
  local.setNewsTaker(newsTaker({ ...needs, recipients, changed }))
  accountData.onChange((userId) => recipients.forget(userId))
  receipts.onRead((userId) => unread.read(userId))
  return { unread }
}
