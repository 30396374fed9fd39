/**
 * Whom an event notifies, and up to where our users have read by what they do: written in the commit
 * that brings the event, so that no crash comes in between.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#receiving-notifications
 *
 * @module
 */

import { LRUCache } from 'lru-cache'
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
  addNotifiedEvent,
  beginToRead,
  mainThread,
  notifyNobody,
  removeNotifiedEvent,
  touchReadPositions,
} from '#storage/notifications.ts'
import type { ThreadSubscriptions } from '#users/thread-subscriptions.ts'
import type { Wishes } from '#users/wishes.ts'
import { type AudienceGroup, packAudience } from './audience.ts'
import { threadOf } from './threads.ts'

export interface NotifyNeeds {
  readonly clock: Clock
  readonly serverName: ServerName
  readonly wishes: Pick<Wishes, 'ofAll'>
  readonly threadSubscriptions: Pick<ThreadSubscriptions, 'among'>
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
  /** Who is notified, once for each event. */
  readonly notified: readonly UserId[]
}

/** How many users are asked about between two looks at the time: some tenths of a millisecond's worth. */
const usersPerStep = 32

/** How much matching of patterns an event may cause for one user: some milliseconds' worth. */
const workMax = 2_000_000

/** What is noted of an event. */
interface Noted {
  readonly event: NewEventFacts
  readonly threadId: string
  readonly groups: readonly AudienceGroup[]
  readonly highlights: boolean
}

interface Plan {
  readonly roomId: RoomId
  readonly noted: readonly Noted[]
  readonly redacted: RoomNews['redacted']
  /** Who has come or gone. */
  readonly turned: readonly NewMembership[]
}

/** What is to be written about news in their commit. */
export function newsTaker(needs: NotifyNeeds): NewsTaker {
  const lastSaid = new LRUCache<RoomId, string>({ maxSize: lastSaidMax, sizeCalculation: () => 1 })
  return async (news) => {
    const plan = await planFor(needs, news)
    const { roomId, noted, redacted, turned } = plan
    if (noted.length + redacted.length + turned.length === 0) return undefined
    const notified: UserId[] = []
    let last = lastSaid.get(roomId)
    return {
      write: (tx, places) => {
        for (const one of noted) {
          const said = saidIn(one)
          if (said !== undefined && said === last) continue
          lastSaid.delete(roomId)
          last = said
          notified.push(...writeNoted(tx, needs.clock.now(), one, places))
        }
        writeTurned(tx, plan, places)
        writeRedacted(tx, needs, plan, places)
      },
      committed: () => {
        if (last !== undefined) lastSaid.set(roomId, last)
        const senders = noted.map(({ event }) => event.sender)
        const read = [...senders, ...turned.map(({ userId }) => userId)]
        needs.changed({ roomId, read, isRedacted: redacted.length > 0, notified })
      },
    }
  }
}

/**
 * Who has said something that notifies nobody, and in which thread. What they say next there is not
 * written: all that a row of it would say is that they have read up to there, and nothing is in between.
 */
function saidIn({ event, threadId, groups }: Noted): string | undefined {
  return groups.some(isTold) ? undefined : `${event.sender} ${threadId}`
}

function isTold({ actions }: AudienceGroup): boolean {
  return actions !== undefined
}

/** Of how many rooms it is known what was noted last. */
const lastSaidMax = 10_000

async function planFor(needs: NotifyNeeds, news: RoomNews): Promise<Plan> {
  const { roomId, localMembers, memberships, redacted } = news
  const noted: Noted[] = []
  const slices = new Slices(needs.clock)
  for (const event of news.events) {
    const threadId = await threadOf(event, news.find)
    const about = { news, event, threadId, slices }
    const { groups, highlights } = await audienceOf(needs, about)
    // Who sends something has read what is before it. Names and pictures are changed in all rooms at
    // once: nothing is read by that.
    const isOwn = localMembers.has(event.sender) && event.type !== 'm.room.member'
    if (!isOwn && !groups.some(isTold)) continue
    noted.push({ event, threadId, groups, highlights })
  }
  const turned = memberships.filter(
    ({ membership, wasJoined }) =>
      wasJoined !== (membership === 'join') || membership === 'leave' || membership === 'ban',
  )
  return { roomId, noted, redacted, turned }
}

/** Whom an event notifies, by how it does. */
async function audienceOf(
  { wishes, threadSubscriptions, serverName }: NotifyNeeds,
  about: {
    readonly news: RoomNews
    readonly event: NewEventFacts
    readonly threadId: Awaited<ReturnType<typeof threadOf>>
    readonly slices: Slices
  },
): Promise<Pick<Noted, 'groups' | 'highlights'>> {
  const byNotification = new Map<Notification | undefined, UserId[]>()
  const { news, event, threadId, slices } = about
  const userIds = usersFor(news, event, serverName)
  const subscriptions =
    threadId === mainThread
      ? undefined
      : await threadSubscriptions.among(userIds, { roomId: news.roomId, rootId: threadId })
  const view = new EventView(event, news, subscriptions)
  for (const [place, { rules, ignored, invitesOf }] of (await wishes.ofAll(userIds)).entries()) {
    const userId = userIds[place] as UserId
    if (place % usersPerStep === usersPerStep - 1 && slices.isOver) await slices.next()
    const displayName = rules.needsDisplayName ? await displayNameOf(news, userId) : undefined
    const isInvite = event.type === 'm.room.member' && event.state_key === userId
    const isUnwanted =
      ignored.has(event.sender) || (isInvite && invitesOf(event.sender) !== 'allow')
    const notification = isUnwanted
      ? undefined
      : notificationFor(rules, view, { userId, displayName, work: workMax })
    byNotification.getOrInsertComputed(notification, () => []).push(userId)
  }
  const groups = [...byNotification].map(([notification, users]) => ({
    actions: notification?.actions,
    ...divided(users, news, event),
  }))
  const highlights = [...byNotification.keys()].some((one) => one?.highlight === true)
  return { groups, highlights }
}

/** Only who is invited may be outside. */
function divided(
  users: UserId[],
  { localMembers }: RoomNews,
  { type }: NewEventFacts,
): Pick<AudienceGroup, 'members' | 'outsiders'> {
  if (type !== 'm.room.member') return { members: users, outsiders: [] }
  const isMember = (userId: UserId) => localMembers.has(userId)
  return {
    members: users.filter(isMember),
    outsiders: users.filter((userId) => !isMember(userId)),
  }
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
  const users = [...localMembers].filter((userId) => userId !== sender)
  if (type !== 'm.room.member' || content.membership !== 'invite') return users
  const target = parseUserId(state_key ?? '')
  if (target === undefined || serverNameOf(target) !== serverName) return users
  return target === sender || localMembers.has(target) ? users : [...users, target]
}

async function displayNameOf(news: RoomNews, userId: UserId): Promise<string | undefined> {
  const name = (await news.member(userId))?.content.displayname
  return typeof name === 'string' ? name : undefined
}

function writeNoted(
  tx: Writer,
  ts: number,
  { event, threadId, groups, highlights }: Noted,
  places: NewsPlaces,
): UserId[] {
  const stream = places.of(event.event_id)
  if (stream === undefined) return []
  addNotifiedEvent(tx, {
    room_id: event.room_id,
    stream,
    thread_id: threadId,
    event_id: event.event_id,
    sender: event.sender,
    ts,
    highlights: highlights ? 1 : 0,
    audience: packAudience(groups),
  })
  return groups.filter(isTold).flatMap(({ members, outsiders }) => [...members, ...outsiders])
}

function writeTurned(tx: Writer, { roomId, turned }: Plan, places: NewsPlaces): void {
  for (const { userId, eventId } of turned) {
    const stream = places.of(eventId) ?? places.last
    if (stream !== undefined) beginToRead(tx, { userId, roomId, stream })
  }
}

function writeRedacted(
  tx: Writer,
  { serverName }: NotifyNeeds,
  { roomId, redacted }: Plan,
  places: NewsPlaces,
): void {
  for (const { event, stream: before } of redacted) {
    const stream = before ?? places.of(event.event_id)
    if (stream === undefined) continue
    // Who has said something of ours has read what was before it, also when that is redacted.
    if (serverNameOf(event.sender) === serverName) notifyNobody(tx, roomId, stream)
    else removeNotifiedEvent(tx, roomId, stream)
  }
  if (redacted.length > 0 && places.last !== undefined) {
    touchReadPositions(tx, roomId, places.last)
  }
}
