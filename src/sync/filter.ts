/**
 * Filters: which events a client wants to see, and how many.
 *
 * A filter is read once into a form in which asking it about an event costs little, however long the
 * lists in it are. Patterns are matched by hand and in linear time: no pattern of a client becomes a
 * regular expression.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#filtering
 *
 * @module
 */

import { isJsonObject, type Json, type JsonObject } from '#protocol/json.ts'
import { readJson } from '#protocol/json-reader.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import { type PropertyPath, parsePropertyPath } from '#protocol/property-path.ts'

/** What a filter asks of an event. Events that are in no room have no `content` worth a look. */
export interface FilteredEvent {
  readonly type: string
  readonly sender?: string | undefined
  readonly content?: JsonObject | undefined
}

/** A filter for events that are in no room: `EventFilter` of the spec. */
export interface EventFilter {
  /** `undefined` where the client leaves it to us. */
  readonly limit: number | undefined
  matches(event: FilteredEvent): boolean
  /** Whether an event of this type can match at all. */
  matchesType(type: string): boolean
}

/** `RoomEventFilter` of the spec. */
export interface RoomEventFilter extends EventFilter {
  readonly lazyLoadMembers: boolean
  readonly includeRedundantMembers: boolean
  readonly unreadThreadNotifications: boolean
  matchesRoom(roomId: string): boolean
  /** Whether every event of the rooms it takes matches: nothing need be looked at. */
  readonly takesAll: boolean
}

/** `Filter` of the spec: what a client gives to `/sync`. */
export interface SyncFilter {
  /** `undefined` for all fields. */
  readonly eventFields: readonly PropertyPath[] | undefined
  readonly eventFormat: 'client' | 'federation'
  readonly presence: EventFilter
  readonly accountData: EventFilter
  /** Which fields of profiles to tell of, and what the client calls it. */
  readonly profileFields: {
    readonly ids: ReadonlySet<string>
    readonly section: 'org.matrix.msc4429.users' | 'users'
  }
  readonly room: {
    matchesRoom(roomId: string): boolean
    readonly includeLeave: boolean
    readonly ephemeral: RoomEventFilter
    readonly state: RoomEventFilter
    readonly timeline: RoomEventFilter
    readonly accountData: RoomEventFilter
  }
}

/** Reads the JSON text of a filter that stands in a query. */
export function parseFilterText(text: string): JsonObject {
  const read = readJson(Buffer.from(text), 'any')
  if (!read.ok) throw new MatrixError(400, 'M_NOT_JSON', `'filter' is not JSON: ${read.reason}.`)
  if (!isJsonObject(read.value)) throw bad('The filter must be an object.')
  return read.value
}

/** Reads a filter for `/sync`. Throws a `MatrixError` for what is none. */
export function parseSyncFilter(filter: JsonObject): SyncFilter {
  const room = objectAt(filter, 'room')
  return {
    eventFields: stringsAt(filter, 'event_fields')?.map(parsePropertyPath),
    eventFormat: formatOf(filter.event_format),
    presence: parseEventFilter(objectAt(filter, 'presence')),
    accountData: parseEventFilter(objectAt(filter, 'account_data')),
    profileFields: parseProfileFields(filter),
    room: {
      matchesRoom: chooser(roomIdsAt(room, 'rooms'), roomIdsAt(room, 'not_rooms')),
      includeLeave: booleanAt(room, 'include_leave') ?? false,
      ephemeral: parseRoomEventFilter(objectAt(room, 'ephemeral')),
      state: parseRoomEventFilter(objectAt(room, 'state')),
      timeline: parseRoomEventFilter(objectAt(room, 'timeline')),
      accountData: parseRoomEventFilter(objectAt(room, 'account_data')),
    },
  }
}

/** The default value for `profile_fields.ids` is `[]`, meaning no profile field updates. */
function parseProfileFields(filter: JsonObject): SyncFilter['profileFields'] {
  const isStable = filter.profile_fields !== undefined
  const name = isStable ? 'profile_fields' : 'org.matrix.msc4429.profile_fields'
  const ids = stringsAt(objectAt(filter, name), 'ids') ?? []
  return { ids: new Set(ids), section: isStable ? 'users' : 'org.matrix.msc4429.users' }
}

/** Reads a filter for `/messages` or `/context`, or a part of one for `/sync`. */
export function parseRoomEventFilter(filter: JsonObject): RoomEventFilter {
  const events = parseEventFilter(filter)
  const containsUrl = booleanAt(filter, 'contains_url')
  const rooms = roomIdsAt(filter, 'rooms')
  const notRooms = roomIdsAt(filter, 'not_rooms')
  const narrowing = ['types', 'not_types', 'senders', 'not_senders', 'contains_url']
  return {
    ...events,
    // If true, includes only events with a url key in their content. If false, excludes those events.
    // If omitted, url key is not considered for filtering.
    matches: (event) =>
      events.matches(event) && (containsUrl === undefined || hasUrl(event) === containsUrl),
    takesAll: narrowing.every((key) => filter[key] === undefined),
    matchesRoom: chooser(rooms, notRooms),
    lazyLoadMembers: booleanAt(filter, 'lazy_load_members') ?? false,
    includeRedundantMembers: booleanAt(filter, 'include_redundant_members') ?? false,
    unreadThreadNotifications: booleanAt(filter, 'unread_thread_notifications') ?? false,
  }
}

/** The filters that take everything. */
export const everything: SyncFilter = parseSyncFilter({})
export const everyRoomEvent: RoomEventFilter = parseRoomEventFilter({})

function parseEventFilter(filter: JsonObject): EventFilter {
  // A * can be used as a wildcard to match any sequence of characters.
  const matchesType = chooser(stringsAt(filter, 'types'), stringsAt(filter, 'not_types'), '*')
  const matchesSender = chooser(userIdsAt(filter, 'senders'), userIdsAt(filter, 'not_senders'))
  const limit = filter.limit
  // The maximum number of events to return, must be an integer greater than 0.
  if (limit !== undefined && (!Number.isSafeInteger(limit) || Number(limit) < 0)) {
    throw bad("'limit' must be an integer greater than 0.")
  }
  return {
    limit: limit === undefined ? undefined : Number(limit),
    matchesType,
    matches: (event) => matchesType(event.type) && matchesSender(event.sender ?? ''),
  }
}

function hasUrl({ content }: FilteredEvent): boolean {
  return content !== undefined && Object.hasOwn(content, 'url')
}

/** Whether a text is among those to include, if there is such a list, and not among the excluded. */
function chooser(
  included: readonly string[] | undefined,
  excluded: readonly string[] | undefined,
  wildcard?: '*',
): (text: string) => boolean {
  const includes = included && listMatcher(included, wildcard)
  const excludes = excluded && listMatcher(excluded, wildcard)
  // Something that matches will be excluded even if it is listed to be included.
  return (text) => !excludes?.(text) && (includes === undefined || includes(text))
}

function listMatcher(list: readonly string[], wildcard?: '*'): (text: string) => boolean {
  const isPattern = (text: string) => wildcard !== undefined && text.includes(wildcard)
  const exact = new Set(list.filter((text) => !isPattern(text)))
  const patterns = [...new Set(list)].filter(isPattern).map((text) => text.split('*'))
  if (patterns.length === 0) return (text) => exact.has(text)
  return (text) => exact.has(text) || patterns.some((pieces) => matchesPieces(pieces, text))
}

/** Whether `text` is `pieces` in this order, with anything between them. */
function matchesPieces(pieces: readonly string[], text: string): boolean {
  const first = pieces[0] ?? ''
  const last = pieces.at(-1) ?? ''
  const end = text.length - last.length
  if (end < first.length || !text.startsWith(first) || !text.endsWith(last)) return false
  // Each piece is taken where it comes first, which leaves the most room to those that follow.
  let at = first.length
  for (const piece of pieces.slice(1, -1)) {
    const found = text.indexOf(piece, at)
    if (found === -1 || found + piece.length > end) return false
    at = found + piece.length
  }
  return true
}

function formatOf(format: Json | undefined): 'client' | 'federation' {
  if (format === undefined || format === 'client') return 'client'
  if (format === 'federation') return 'federation'
  throw bad("'event_format' must be 'client' or 'federation'.")
}

function objectAt(object: JsonObject, key: string): JsonObject {
  const value = object[key]
  if (value === undefined) return {}
  if (isJsonObject(value)) return value
  throw bad(`'${key}' must be an object.`)
}

function booleanAt(object: JsonObject, key: string): boolean | undefined {
  const value = object[key]
  if (value === undefined || typeof value === 'boolean') return value
  throw bad(`'${key}' must be true or false.`)
}

function roomIdsAt(object: JsonObject, key: string): readonly string[] | undefined {
  return idsAt(object, key, { sigil: '!', what: 'room IDs' })
}

function userIdsAt(object: JsonObject, key: string): readonly string[] | undefined {
  return idsAt(object, key, { sigil: '@', what: 'user IDs' })
}

/** What cannot be an ID would match nothing, for ever: whoever wrote it should hear of it. */
function idsAt(
  object: JsonObject,
  key: string,
  { sigil, what }: { readonly sigil: string; readonly what: string },
): readonly string[] | undefined {
  const ids = stringsAt(object, key)
  if (ids === undefined || ids.every((id) => id.startsWith(sigil))) return ids
  throw bad(`'${key}' must be a list of ${what}.`)
}

function stringsAt(object: JsonObject, key: string): readonly string[] | undefined {
  const value = object[key]
  if (value === undefined) return undefined
  if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value
  throw bad(`'${key}' must be a list of strings.`)
}

function bad(sentence: string): MatrixError {
  return new MatrixError(400, 'M_BAD_JSON', sentence)
}
