/**
 * Whom an event notifies, and up to where our users have read by what they do: written in the commit
 * that brings the event, so that no crash comes in between.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#receiving-notifications
 *
 * @module
 */

import type { Clock } from '#io/clock.ts'
import { Slices } from '#io/slices.ts'
import { serverNameOf } from '#protocol/identifiers/common-format.ts'
import type { RoomId, ServerName, UserId } from '#protocol/identifiers/ids.ts'
import { parseUserId } from '#protocol/identifiers/user-id.ts'
import { type Notification, notificationFor } from '#protocol/push-rules/evaluate.ts'
import { EventView } from '#protocol/push-rules/event-view.ts'
import type { NewEventFacts, NewMembership, NewsPlaces, NewsTaker, RoomNews } from '#rooms/news.ts'
import type { Writer } from '#storage/database.ts'
import {
  addNotifications,
  removeNotifications,
  setReadPosition,
  touchReadPositions,
} from '#storage/notifications.ts'
import { packActions } from './actions.ts'
import type { Recipients } from './recipients.ts'
import { threadOf } from './threads.ts'

export interface NotifyNeeds {
  readonly clock: Clock
  readonly serverName: ServerName
  readonly recipients: Pick<Recipients, 'wishesOf'>
  /** Told after the commit. */
  readonly changed: (changes: UnreadChanges) => void
}

/** How what is unread in a room has changed. */
export interface UnreadChanges {
  readonly roomId: RoomId
  /** Users who have read. */
  readonly read: readonly UserId[]
  /** Whether an event is redacted of which anybody may have been notified. */
  readonly isRedacted: boolean
  /** Who is notified of what: positions in the stream. */
  readonly notified: readonly { readonly userId: UserId; readonly stream: number }[]
}

/** How much matching of patterns an event may cause for one user: some milliseconds' worth. */
const workMax = 2_000_000

/** An event, and the users whom it notifies in the same way. */
interface Told {
  readonly event: NewEventFacts
  readonly threadId: string
  readonly notification: Notification
  readonly userIds: readonly UserId[]
}

interface InThread {
  readonly event: NewEventFacts
  readonly threadId: string
}

interface Plan {
  readonly roomId: RoomId
  readonly told: readonly Told[]
  /** What our users sent: they have read the thread up to there. */
  readonly own: readonly InThread[]
  readonly redacted: readonly (InThread & { readonly stream: number | undefined })[]
  /** Who has come or gone: they have read all. */
  readonly turned: readonly NewMembership[]
}

/** What is to be written about news in their commit. */
export function newsTaker(needs: NotifyNeeds): NewsTaker {
  return async (news) => {
    const plan = await planFor(needs, news)
    const { roomId, told, own, redacted, turned } = plan
    if (told.length + own.length + redacted.length + turned.length === 0) return undefined
    const notified: { userId: UserId; stream: number }[] = []
    return {
      write: (tx, places) => {
        for (const one of told) notified.push(...writeTold(tx, needs.clock.now(), one, places))
        writeRead(tx, plan, places)
        writeRedacted(tx, plan, places)
      },
      committed: () => {
        const read = [...own.map(({ event }) => event.sender), ...turned.map((one) => one.userId)]
        needs.changed({ roomId, read, isRedacted: redacted.length > 0, notified })
      },
    }
  }
}

async function planFor(needs: NotifyNeeds, news: RoomNews): Promise<Plan> {
  const { roomId, localMembers, memberships } = news
  const told: Told[] = []
  const own: InThread[] = []
  const slices = new Slices(needs.clock)
  for (const event of news.events) {
    const groups = await notifiedOf(needs, { news, event, slices })
    // Names and pictures are changed in all rooms at once: nothing is read by that.
    const isOwn = localMembers.has(event.sender) && event.type !== 'm.room.member'
    if (groups.size === 0 && !isOwn) continue
    const threadId = await threadOf(event, news.find)
    if (isOwn) own.push({ event, threadId })
    for (const [notification, userIds] of groups) {
      told.push({ event, threadId, notification, userIds })
    }
  }
  const redacted = await Promise.all(
    news.redacted.map(async ({ event, stream }) => {
      const threadId = await threadOf(event, news.find)
      return { event, stream, threadId }
    }),
  )
  const turned = memberships.filter(
    ({ membership, wasJoined }) =>
      wasJoined !== (membership === 'join') || membership === 'leave' || membership === 'ban',
  )
  return { roomId, told, own, redacted, turned }
}

/** Whom an event notifies, by how it does. */
async function notifiedOf(
  { recipients, serverName }: NotifyNeeds,
  { news, event, slices }: { news: RoomNews; event: NewEventFacts; slices: Slices },
): Promise<Map<Notification, UserId[]>> {
  const groups = new Map<Notification, UserId[]>()
  const userIds = usersFor(news, event, serverName)
  if (userIds.length === 0) return groups
  const view = new EventView(event, news)
  for (const [userId, { rules, ignored }] of await recipients.wishesOf(userIds)) {
    if (slices.isOver) await slices.next()
    if (ignored.has(event.sender)) continue
    const displayName = rules.needsDisplayName ? await displayNameOf(news, userId) : undefined
    const notification = notificationFor(rules, view, { displayName, work: workMax })
    if (notification !== undefined) {
      groups.getOrInsertComputed(notification, () => []).push(userId)
    }
  }
  return groups
}

/**
 * Homeservers process push rules for each of the local users in the room, excluding the sender; and for
 * who is invited to it.
 */
function usersFor(
  { localMembers }: RoomNews,
  { type, state_key, content, sender }: NewEventFacts,
  serverName: ServerName,
): UserId[] {
  const users = new Set(localMembers)
  if (type === 'm.room.member' && content.membership === 'invite') {
    const target = parseUserId(state_key ?? '')
    if (target !== undefined && serverNameOf(target) === serverName) users.add(target)
  }
  users.delete(sender)
  return [...users]
}

async function displayNameOf(news: RoomNews, userId: UserId): Promise<string | undefined> {
  const name = (await news.member(userId))?.content.displayname
  return typeof name === 'string' ? name : undefined
}

function writeTold(
  tx: Writer,
  ts: number,
  { event, threadId, notification, userIds }: Told,
  places: NewsPlaces,
): { userId: UserId; stream: number }[] {
  const stream = places.of(event.event_id)
  if (stream === undefined) return []
  addNotifications(tx, userIds, {
    room_id: event.room_id,
    thread_id: threadId,
    stream,
    event_id: event.event_id,
    highlight: notification.highlight ? 1 : 0,
    ts,
    actions: packActions(notification.actions),
  })
  return userIds.map((userId) => ({ userId, stream }))
}

/**
 * When the user updates their read receipt (either by using the API or by sending an event),
 * notifications prior to and including that event MUST be marked as read.
 */
function writeRead(tx: Writer, { roomId, own, turned }: Plan, places: NewsPlaces): void {
  const positions = new Map<string, { userId: UserId; threadId: string; stream: number }>()
  const note = (userId: UserId, threadId: string, stream: number | undefined) => {
    if (stream !== undefined) positions.set(`${userId} ${threadId}`, { userId, threadId, stream })
  }
  for (const { event, threadId } of own) note(event.sender, threadId, places.of(event.event_id))
  for (const { userId, eventId } of turned) note(userId, '', places.of(eventId) ?? places.last)
  for (const { userId, threadId, stream } of positions.values()) {
    setReadPosition(tx, {
      user_id: userId,
      room_id: roomId,
      thread_id: threadId,
      position: stream,
      changed: places.last ?? stream,
    })
  }
}

function writeRedacted(tx: Writer, { roomId, redacted }: Plan, places: NewsPlaces): void {
  for (const { event, threadId, stream: before } of redacted) {
    const stream = before ?? places.of(event.event_id)
    if (stream === undefined) continue
    removeNotifications(tx, { room_id: roomId, thread_id: threadId, stream })
  }
  if (redacted.length > 0 && places.last !== undefined) {
    touchReadPositions(tx, roomId, places.last)
  }
}
