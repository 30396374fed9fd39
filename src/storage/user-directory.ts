/**
 * The user directory: who is in which rooms and how they are shown there, and the terms by which they
 * are found. See `migrations/0057-user-directory.sql`.
 *
 * @module
 */

import { localpartOf } from '#protocol/identifiers/common-format.ts'
import type { RoomId, UserId } from '#protocol/identifiers/ids.ts'
import { parseMxcUri } from '#protocol/identifiers/mxc-uri.ts'
import type { Json, JsonObject } from '#protocol/json.ts'
import { nameTerms } from '#protocol/search-terms.ts'
import { type Reader, sql, texts, type Writer } from './database.ts'

/** In place of a room: what users of this server are shown as in all rooms. */
const everywhere = 0

/** How much of a name that another server gave is shown, in UTF-16 units. */
const nameMax = 256
/** A longer URI is left out. */
const avatarUrlMax = 1_000

/** How a user is shown; empty texts for what is not set. */
export interface Shown {
  readonly name: string
  readonly avatarUrl: string
}

/** What a profile, or the content of a member event, shows of a user. */
export function shownBy({ displayname, avatar_url }: JsonObject): Shown {
  const name = typeof displayname === 'string' ? displayname : ''
  return { name: name.slice(0, nameMax).toWellFormed().trim(), avatarUrl: uriOrEmpty(avatar_url) }
}

function uriOrEmpty(uri: Json | undefined): string {
  const isSound =
    typeof uri === 'string' && uri.length <= avatarUrlMax && parseMxcUri(uri) !== undefined
  return isSound ? uri : ''
}

interface Member {
  readonly roomNid: number
  readonly userId: UserId
}

/** Somebody is joined to a room, and shown there so. */
export function putDirectoryMember(tx: Writer, { roomNid, userId }: Member, shown: Shown): void {
  const { name, avatarUrl } = shown
  tx.run(sql`
    INSERT INTO directory_members (room_nid, user_id, name, avatar_url)
    VALUES (${roomNid}, ${userId}, ${name}, ${avatarUrl})
    ON CONFLICT (room_nid, user_id) DO UPDATE SET name = excluded.name,
      avatar_url = excluded.avatar_url
  `)
  forgetTerms(tx, userId)
  putTerms(tx, { roomNid, userId }, name)
}

/** Somebody is not joined any more. */
export function deleteDirectoryMember(tx: Writer, { roomNid, userId }: Member): void {
  tx.run(sql`
    DELETE FROM directory_members WHERE room_nid = ${roomNid} AND user_id = ${userId}
  `)
  forgetTerms(tx, userId)
}

/** How a user of this server is shown, wherever they are. */
export function putDirectoryUser(tx: Writer, userId: UserId, shown: Shown): void {
  putDirectoryMember(tx, { roomNid: everywhere, userId }, shown)
}

export function deleteDirectoryUser(tx: Writer, userId: UserId): void {
  deleteDirectoryMember(tx, { roomNid: everywhere, userId })
}

/** The same as `putDirectoryUser` for one who may be known already, and newer then. */
export function addDirectoryUser(tx: Writer, userId: UserId, { name, avatarUrl }: Shown): void {
  tx.run(sql`
    INSERT INTO directory_members (room_nid, user_id, name, avatar_url)
    VALUES (${everywhere}, ${userId}, ${name}, ${avatarUrl}) ON CONFLICT DO NOTHING
  `)
  putTerms(tx, { roomNid: everywhere, userId }, name)
}

function putTerms(tx: Writer, member: Member, name: string): void {
  putTermsOf(tx, member, { name: '', terms: nameTerms(localpartOf(member.userId)) })
  if (name !== '') putTermsOf(tx, member, { name, terms: nameTerms(name) })
}

function putTermsOf(
  tx: Writer,
  { roomNid, userId }: Member,
  { name, terms }: { readonly name: string; readonly terms: readonly string[] },
): void {
  tx.run(sql`
    INSERT INTO directory_terms (term, user_id, name)
    SELECT terms.value, m.user_id, CAST(${name} AS TEXT)
    FROM directory_members m CROSS JOIN ${texts(terms)} AS terms
    WHERE m.room_nid = ${roomNid} AND m.user_id = ${userId}
    ON CONFLICT DO NOTHING
  `)
}

/** Takes away the terms of names that a user has nowhere any more; all, if they are nowhere. */
function forgetTerms(tx: Writer, userId: UserId): void {
  tx.run(sql`
    DELETE FROM directory_terms WHERE user_id = ${userId} AND NOT EXISTS (
      SELECT 1 FROM directory_members m WHERE m.user_id = ${userId}
        AND (directory_terms.name = '' OR m.name = directory_terms.name)
    )
  `)
}

export interface DirectoryRoomRow {
  readonly room_nid: number
  /** Up to where the directory knows the room; `null` if it does not. */
  readonly stream: number | null
}

/** A room of which this server holds a timeline. */
export async function directoryRoom(
  db: Reader,
  roomId: RoomId,
): Promise<DirectoryRoomRow | undefined> {
  return await db.first<DirectoryRoomRow>(sql`
    SELECT r.room_nid, d.stream FROM rooms r LEFT JOIN directory_rooms d ON d.room_nid = r.room_nid
    WHERE r.room_id = ${roomId}
  `)
}

export function putDirectoryRoom(
  tx: Writer,
  room: { readonly roomNid: number; readonly stream: number; readonly isPublic: boolean },
): void {
  tx.run(sql`
    INSERT INTO directory_rooms (room_nid, stream, is_public)
    VALUES (${room.roomNid}, ${room.stream}, ${Number(room.isPublic)})
    ON CONFLICT (room_nid) DO UPDATE SET stream = excluded.stream, is_public = excluded.is_public
  `)
}

export function deleteDirectoryRoom(tx: Writer, roomNid: number): void {
  tx.run(sql`DELETE FROM directory_rooms WHERE room_nid = ${roomNid}`)
}

/** Some of those who are known to be in a room. */
export async function directoryMembersOf(
  db: Reader,
  roomNid: number,
  limit: number,
): Promise<UserId[]> {
  const rows = await db.all<{ user_id: UserId }>(sql`
    SELECT user_id FROM directory_members WHERE room_nid = ${roomNid} ORDER BY user_id LIMIT ${limit}
  `)
  return rows.map((row) => row.user_id)
}

export interface DirectoryProgress {
  readonly stream: number
  /** The last account that is known; `null` if all are. */
  readonly accounts: string | null
}

export async function directoryProgress(db: Reader): Promise<DirectoryProgress> {
  const row = await db.first<DirectoryProgress>(sql`
    SELECT stream, accounts FROM directory_progress WHERE id = 1
  `)
  return row ?? { stream: 0, accounts: '' }
}

export function setDirectoryStream(tx: Writer, stream: number): void {
  tx.run(sql`
    UPDATE directory_progress SET stream = ${stream} WHERE id = 1 AND stream < ${stream}
  `)
}

export function setDirectoryAccounts(tx: Writer, accounts: string | null): void {
  tx.run(sql`UPDATE directory_progress SET accounts = ${accounts} WHERE id = 1`)
}

export interface DirectoryTermRow {
  readonly term: string
  readonly user_id: UserId
  readonly name: string
}

/** Terms that begin with `prefix`, after one of them, in their order. */
export async function directoryTerms(
  db: Reader,
  wanted: {
    readonly prefix: string
    readonly after: DirectoryTermRow | undefined
    readonly limit: number
  },
): Promise<DirectoryTermRow[]> {
  const { prefix, limit, after = { term: prefix, user_id: '', name: '' } } = wanted
  // No letter or digit is beyond this.
  const end = `${prefix}\u{f0000}`
  return await db.all<DirectoryTermRow>(sql`
    SELECT term, user_id, name FROM directory_terms
    WHERE (term, user_id, name) > (${after.term}, ${after.user_id}, ${after.name})
      AND term < ${end}
    ORDER BY term, user_id, name LIMIT ${limit}
  `)
}

export interface ShownRow {
  readonly user_id: UserId
  readonly name: string
  readonly avatar_url: string
  /** In how many rooms they are shown so; those of the asker are counted in `shared` too. */
  readonly rooms: number
  readonly shared: number
  /** 1 if this is how a user of this server is shown in all rooms, and says nothing of any. */
  readonly everywhere: number
}

/**
 * How users are shown in the rooms of `asker` and in public ones. Nothing of those whose account is
 * closed, locked or suspended.
 */
export async function shownTo(
  db: Reader,
  asker: UserId,
  userIds: readonly UserId[],
): Promise<ShownRow[]> {
  return await db.all<ShownRow>(sql`
    SELECT m.user_id, m.name, m.avatar_url, COUNT(*) AS rooms, COUNT(own.user_id) AS shared,
      CASE WHEN m.room_nid = 0 THEN 1 ELSE 0 END AS everywhere
    FROM directory_members m
    LEFT JOIN directory_rooms r ON r.room_nid = m.room_nid
    LEFT JOIN directory_members own ON own.room_nid = m.room_nid AND own.user_id = ${asker}
    WHERE m.user_id IN ${texts(userIds)}
      AND (m.room_nid = 0 OR r.is_public = 1 OR own.user_id IS NOT NULL)
      AND NOT EXISTS (
        SELECT 1 FROM accounts a WHERE a.user_id = m.user_id
          AND (a.deactivated_ts IS NOT NULL OR a.locked = 1 OR a.suspended = 1)
      )
    GROUP BY m.user_id, m.name, m.avatar_url, CASE WHEN m.room_nid = 0 THEN 1 ELSE 0 END
    ORDER BY m.user_id, rooms DESC, m.name, m.avatar_url
  `)
}
