/**
 * Notifications: whom an event is told, what they have not read, and who is to be woken.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#push-notifications
 *
 * @module
 */

import type { ServerName } from '#protocol/identifiers/ids.ts'
import type { LocalRooms } from '#rooms/create-engine.ts'
import type { Receipts } from '#users/receipts.ts'
import type { ThreadSubscriptions } from '#users/thread-subscriptions.ts'
import type { Wishes } from '#users/wishes.ts'
import { newsTaker, type UnreadChanges } from './notify.ts'
import type { PusherQueueNeeds } from './pusher-queue.ts'
import { createPushers, type Pushers } from './pushers.ts'
import { createPushSender } from './sender.ts'
import { createTrimmer } from './trim.ts'
import { createUnread, type Unread } from './unread.ts'

export interface Push {
  readonly unread: Unread
  readonly pushers: Pushers
  /** Begins to tell push gateways. Call it once. */
  start(): Promise<void>
  close(): Promise<void>
}

export interface PushNeeds extends Omit<PusherQueueNeeds, 'limiter' | 'unread'> {
  readonly serverName: ServerName
  readonly local: Pick<LocalRooms, 'setNewsTaker'>
  readonly wishes: Pick<Wishes, 'ofAll'>
  readonly threadSubscriptions: Pick<ThreadSubscriptions, 'among'>
  readonly receipts: Pick<Receipts, 'onRead'>
}

export function createPush(needs: PushNeeds): Push {
  const { local, receipts } = needs
  const unread = createUnread(needs)
  const sender = createPushSender({ ...needs, unread })
  const trim = createTrimmer(needs)
  const changed = (changes: UnreadChanges) => {
    unread.changed(changes)
    for (const userId of changes.notified) sender.notified(userId, changes.roomId)
    for (const userId of changes.read) sender.read(userId)
    trim(changes.roomId)
  }
  local.setNewsTaker(newsTaker({ ...needs, changed }))
  receipts.onRead((userId) => {
    unread.read(userId)
    sender.read(userId)
  })
  return {
    unread,
    pushers: createPushers({ ...needs, unread, onSet: (key) => sender.pusherSet(key) }),
    start: () => sender.start(),
    close: () => sender.close(),
  }
}
