/**
 * What somebody sees of their rooms: as their client has it after all that it was told, and as the server
 * says when it is asked anew.
 *
 * @module
 */

import { EventTimeline, EventType, NotificationCountType, type Room } from 'matrix-js-sdk'
import type { ClientEvent, Json } from '../rig/client.ts'
import { type RandomClient, receiptKey, type SyncKind } from './random-client.ts'

/** Parts of a view by their names, as text, so that they can be compared. */
type View = ReadonlyMap<string, string>

/** Types that the library or the server writes by itself. */
const notCompared = new Set<string>([EventType.PushRules, 'm.fully_read'])
const memberships = ['join', 'invite', 'knock'] as const
const pagesMax = 100
const lastEventsMax = 8
const nothingUnread = JSON.stringify({ total: 0, highlights: 0 })

class Writing extends Map<string, string> {
  put(name: string, value: unknown): void {
    this.set(name, JSON.stringify(value))
  }
}

/** As the client has it, but for some events. What is older than what it has it reads first. */
async function clientView(
  who: RandomClient,
  roomIds: readonly string[],
  aside: ReadonlySet<string>,
): Promise<View> {
  const view = new Writing()
  const joined = new Set<string>()
  for (const membership of memberships) {
    view.put(
      membership,
      who
        .rooms(membership)
        .map(({ roomId }) => roomId)
        .sort(),
    )
  }
  for (const event of who.client.store.accountData.values()) {
    if (!notCompared.has(event.getType()))
      view.put(`account ${event.getType()}`, event.getContent())
  }
  for (const roomId of roomIds) {
    const room = who.client.getRoom(roomId)
    if (room?.getMyMembership() !== 'join') continue
    joined.add(roomId)
    await room.loadMembersIfNeeded()
    clientState(view, room, who.kind)
    clientCounts(view, room)
    for (const event of room.accountData.values()) {
      const type = event.getType()
      if (!notCompared.has(type)) view.put(`${roomId} account ${type}`, event.getContent())
    }
    const typing = room.getMembers().filter((member) => member.typing)
    const names = typing.map(({ userId }) => userId).sort()
    view.put(`${roomId} typing`, names)
    const timeline = room.getLiveTimeline()
    for (let page = 0; page < pagesMax; page += 1) {
      // Without a token the library would begin at the newest event.
      if (timeline.getPaginationToken(EventTimeline.BACKWARDS) === null) break
      await who.client.paginateEventTimeline(timeline, { backwards: true, limit: 50 })
    }
    clientTimeline(view, room, { who, aside })
  }
  for (const [key, eventId] of who.receipts) {
    const [roomId = ''] = key.split(' ')
    if (joined.has(roomId)) view.put(`receipt ${key}`, eventId)
  }
  return view
}

function clientState(view: Writing, room: Room, kind: SyncKind): void {
  for (const [type, events] of room.currentState.events) {
    for (const [key, event] of events) {
      if (kind === 'lazy' && event.getContent().membership === 'leave') continue
      view.put(`${room.roomId} state ${type} ${key}`, [event.getId(), event.getContent()])
    }
  }
  for (const membership of ['join', 'invite', 'knock', 'ban']) {
    const members = room.getMembersWithMembership(membership).map(({ userId }) => userId)
    view.put(`${room.roomId} members ${membership}`, members.sort())
  }
}

function clientCounts(view: Writing, room: Room): void {
  const { roomId } = room
  const { Total, Highlight } = NotificationCountType
  const main = {
    notification_count: room.getRoomUnreadNotificationCount(Total),
    highlight_count: room.getRoomUnreadNotificationCount(Highlight),
  }
  putCounts(view, roomId, 'main', main)
  putCounts(view, roomId, 'threads', {
    notification_count: room.getUnreadNotificationCount(Total) - main.notification_count,
    highlight_count: room.getUnreadNotificationCount(Highlight) - main.highlight_count,
  })
  view.put(`${roomId} joined`, room.getJoinedMemberCount())
  view.put(`${roomId} invited`, room.getInvitedMemberCount())
}

/** What is unread, of the main timeline or of all threads together. */
function putCounts(view: Writing, roomId: string, where: 'main' | 'threads', counts: Counts): void {
  const { notification_count: total, highlight_count: highlights } = counts
  view.put(`${roomId} unread ${where}`, { total, highlights })
}

/** The library puts the roots of threads, and what lies in a gap, where it pleases. */
function isOrdered({ kind, gappy }: RandomClient, roomId: string): boolean {
  return kind !== 'threads' && !gappy.has(roomId)
}

function ordered<T>(ids: readonly T[], who: RandomClient, roomId: string): readonly T[] {
  return isOrdered(who, roomId) ? ids : ids.toSorted()
}

function clientTimeline(
  view: Writing,
  room: Room,
  { who, aside }: { who: RandomClient; aside: ReadonlySet<string> },
): void {
  const events = room
    .getLiveTimeline()
    .getEvents()
    .filter((event) => event.status === null && !aside.has(event.getId() ?? ''))
  const ids = events.map((event) => event.getId())
  view.put(`${room.roomId} timeline`, ordered(ids, who, room.roomId))
  for (const event of events) {
    view.put(
      `${room.roomId} event ${event.getId()}`,
      event.isRedacted() ? 'redacted' : event.event.content,
    )
  }
  if (isOrdered(who, room.roomId))
    view.put(`${room.roomId} begins`, events[0]?.getType() === EventType.RoomCreate)
}

interface Synced {
  readonly account_data: { readonly events: readonly ClientEvent[] }
  readonly rooms?: {
    readonly join?: Readonly<Record<string, JoinedRoom>>
    readonly invite?: object
    readonly knock?: object
  }
}

interface Counts {
  readonly notification_count: number
  readonly highlight_count: number
}

interface JoinedRoom {
  readonly account_data: { readonly events: readonly ClientEvent[] }
  readonly ephemeral: { readonly events: readonly ClientEvent[] }
  readonly unread_notifications: Counts
  readonly unread_thread_notifications?: Readonly<Record<string, Counts>>
  readonly summary: Json
}

type Receipts = Record<string, Record<string, Record<string, { readonly thread_id?: string }>>>

/** As the server says it now; `aside` gets the events that are no matter here. */
async function serverView(
  who: RandomClient,
  roomIds: readonly string[],
  aside: Set<string>,
): Promise<View> {
  const view = new Writing()
  const { since } = who.plain
  who.plain.since = undefined
  const filter = encodeURIComponent(
    JSON.stringify({ room: { timeline: { limit: 1, unread_thread_notifications: true } } }),
  )
  const synced = (await who.plain.sync(0, `&filter=${filter}`)) as unknown as Synced
  who.plain.since = since
  for (const membership of memberships) {
    view.put(membership, Object.keys(synced.rooms?.[membership] ?? {}).sort())
  }
  for (const { type, content } of synced.account_data.events) {
    if (!notCompared.has(type)) view.put(`account ${type}`, content)
  }
  for (const roomId of roomIds) {
    const room = synced.rooms?.join?.[roomId]
    if (room === undefined) continue
    serverRoom(view, roomId, { who, room })
    const state = await who.plain.state(roomId)
    serverState(
      view,
      roomId,
      state.filter((event) => isLoaded(who.kind, event)),
    )
    const all = (await who.plain.history(roomId, 5_000)).reverse()
    if (who.kind === 'threads') for (const id of threaded(all)) aside.add(id)
    const events = all.filter(({ event_id }) => !aside.has(event_id))
    view.put(
      `${roomId} timeline`,
      ordered(
        events.map(({ event_id }) => event_id),
        who,
        roomId,
      ),
    )
    for (const { event_id, content, unsigned } of events) {
      view.put(`${roomId} event ${event_id}`, unsigned?.redacted_because ? 'redacted' : content)
    }
    if (isOrdered(who, roomId))
      view.put(`${roomId} begins`, events[0]?.type === EventType.RoomCreate)
  }
  return view
}

function serverRoom(
  view: Writing,
  roomId: string,
  { who, room }: { who: RandomClient; room: JoinedRoom },
): void {
  const { unread_notifications: main, unread_thread_notifications: threads = {}, summary } = room
  // Sliding sync does not count threads.
  const counted = who.kind === 'sliding' ? [] : Object.values(threads)
  const sum = (name: keyof Counts) => counted.reduce((total, one) => total + one[name], 0)
  putCounts(view, roomId, 'main', main)
  putCounts(view, roomId, 'threads', {
    notification_count: sum('notification_count'),
    highlight_count: sum('highlight_count'),
  })
  view.put(`${roomId} joined`, summary['m.joined_member_count'])
  view.put(`${roomId} invited`, summary['m.invited_member_count'])
  for (const { type, content } of room.account_data.events) {
    if (!notCompared.has(type)) view.put(`${roomId} account ${type}`, content)
  }
  view.put(`${roomId} typing`, [])
  for (const { type, content } of room.ephemeral.events) {
    if (type === EventType.Typing)
      view.put(`${roomId} typing`, (content.user_ids as string[]).sort())
    if (type === EventType.Receipt) serverReceipts(view, roomId, content as Receipts)
  }
}

function serverReceipts(view: Writing, roomId: string, receipts: Receipts): void {
  for (const [eventId, types] of Object.entries(receipts)) {
    for (const [type, users] of Object.entries(types)) {
      for (const [user, { thread_id: thread }] of Object.entries(users)) {
        view.put(`receipt ${receiptKey(roomId, type, user, thread)}`, eventId)
      }
    }
  }
}

/** Who loads members when they are needed does not load who is gone. */
function isLoaded(kind: SyncKind, { type, content }: ClientEvent): boolean {
  return kind !== 'lazy' || type !== EventType.RoomMember || content.membership !== 'leave'
}

function serverState(view: Writing, roomId: string, state: readonly ClientEvent[]): void {
  for (const { type, state_key: key, event_id, content } of state) {
    view.put(`${roomId} state ${type} ${key}`, [event_id, content])
  }
  for (const membership of ['join', 'invite', 'knock', 'ban']) {
    const members = state.filter((event) => {
      return event.type === EventType.RoomMember && event.content.membership === membership
    })
    view.put(`${roomId} members ${membership}`, members.map((event) => event.state_key).sort())
  }
}

/**
 * Events that may have a timeline of their own in a client that shows threads: those that relate to others,
 * and what is redacted, which is in no thread for who sees it first after that.
 */
function threaded(
  events: readonly (ClientEvent & { readonly redacts?: string })[],
): ReadonlySet<string> {
  const found = new Set<string>()
  for (const { event_id, content, unsigned, redacts } of events) {
    const { rel_type } = (content['m.relates_to'] ?? {}) as Json
    const isRelated = rel_type !== undefined || found.has(String(redacts ?? content.redacts))
    if (isRelated || unsigned?.redacted_because) found.add(event_id)
  }
  return found
}

/** In what the views of a client and of its server differ, in words. */
export async function differences(
  who: RandomClient,
  roomIds: readonly string[],
): Promise<string[]> {
  const aside = new Set<string>()
  const server = await serverView(who, roomIds, aside)
  const client = await clientView(who, roomIds, aside)
  const names = new Set([...client.keys(), ...server.keys()])
  return [...names].flatMap((name) => {
    const [mine, theirs] = [client.get(name), server.get(name)]
    if (mine === theirs || isUntold(who, name, mine) || isTakenForRead(who, name, mine)) return []
    if (hasTwin(name, server)) return []
    return [`${who.name}: ${name}: ${apart(mine, theirs)}${lastEvents(who, name)}`]
  })
}

/**
 * Whether a receipt has another one beside it, of the same user and type at the same event, in another thread. An
 * `m.receipt` has place for one of them: sliding sync gives one a room, and so does what the library keeps.
 */
function hasTwin(name: string, server: View): boolean {
  const [what, ...whose] = name.split(' ')
  if (what !== 'receipt') return false
  const start = ['receipt', ...whose.slice(0, 3), ''].join(' ')
  return [...server].some(
    ([other, eventId]) => other !== name && other.startsWith(start) && eventId === server.get(name),
  )
}

/** What a client cannot know by what it asks. */
function isUntold(
  { kind, leftOnce, userId }: RandomClient,
  name: string,
  mine: string | undefined,
): boolean {
  // Whoever begins a sliding sync is told of others' receipts only for events that they are shown.
  if (kind === 'sliding') {
    const [what, , , reader] = name.split(' ')
    return mine === undefined && what === 'receipt' && reader !== userId
  }
  if (kind !== 'lazy') return false
  const [place = '', about, type] = name.split(' ')
  const isOfMembers = about === 'members' || (about === 'state' && type === EventType.RoomMember)
  // The library loads those whom it knows from an earlier stay not again (`setOutOfBandMembers` passes them
  // by), and what became of them is not told to who loads members when they are needed.
  return isOfMembers && leftOnce.has(place)
}

/**
 * When it begins, the library takes the main timeline for read if its last event is of its own user
 * (`fixupRoomNotifications`). A name, an invite or a kick is such an event, by which nothing is read for servers:
 * names are changed in all rooms at once.
 */
function isTakenForRead({ client, userId }: RandomClient, name: string, mine = ''): boolean {
  const [roomId = '', about, where] = name.split(' ')
  if (about !== 'unread' || where !== 'main' || mine !== nothingUnread) return false
  const last = client.getRoom(roomId)?.getLiveTimeline().getEvents().at(-1)
  return last?.getSender() === userId && last.getType() === EventType.RoomMember
}

/** The last events that a client has of a room, if the difference is in what is unread of it. */
function lastEvents({ client }: RandomClient, name: string): string {
  const [roomId = '', about] = name.split(' ')
  if (about !== 'unread') return ''
  const events = client.getRoom(roomId)?.getLiveTimeline().getEvents().slice(-lastEventsMax) ?? []
  const told = events.map((event) => {
    const relation = JSON.stringify(event.getWireContent()['m.relates_to'] ?? null)
    return `\n  ${event.getType()} ${event.getId()} by ${event.getSender()}, relates to ${relation}`
  })
  return told.join('')
}

/** How two values differ; of lists only what is in one of them. */
function apart(client = 'undefined', server = 'undefined'): string {
  if (!client.startsWith('["') || !server.startsWith('["'))
    return `client ${client}, server ${server}`
  const [mine, theirs]: [string[], string[]] = [JSON.parse(client), JSON.parse(server)]
  const [more, fewer] = [
    mine.filter((one) => !theirs.includes(one)),
    theirs.filter((one) => !mine.includes(one)),
  ]
  const at = mine.findIndex((one, index) => one !== theirs[index])
  const some = (ids: string[]) => ids.slice(at, at + 5).join(' ')
  return `only client ${more}, only server ${fewer}, client ${some(mine)}, server ${some(theirs)}`
}
