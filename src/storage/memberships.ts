/**
 * What local users have to do with rooms, also with rooms this server is not in.
 *
 * @module
 */

import type { EventId, RoomId, ServerName, UserId } from '#protocol/identifiers/ids.ts'
import { type Reader, sql, type Writer } from './database.ts'

export interface MembershipRow {
  readonly user_id: UserId
  readonly room_id: RoomId
  readonly membership: string
  readonly event_id: EventId
  readonly sender: UserId
  readonly stream: number
  readonly forgotten: number
  /** A JSON list. */
  readonly stripped_state: string
  /** 1 if a local user is joined to the room. */
  readonly server_in_room: number
}

const columns = sql`m.user_id, m.room_id, m.membership, m.event_id, m.sender, m.stream, m.forgotten,
  m.stripped_state, CASE WHEN EXISTS (SELECT 1 FROM local_memberships j
    WHERE j.room_id = m.room_id AND j.membership = 'join') THEN 1 ELSE 0 END AS server_in_room`

export function putMembership(
  tx: Writer,
  row: Omit<MembershipRow, 'forgotten' | 'server_in_room'>,
): void {
  tx.run(sql`
    INSERT INTO local_memberships (user_id, room_id, membership, event_id, sender, stream,
      forgotten, stripped_state)
    VALUES (${row.user_id}, ${row.room_id}, ${row.membership}, ${row.event_id}, ${row.sender},
      ${row.stream}, ${0}, ${row.stripped_state})
    ON CONFLICT (user_id, room_id) DO UPDATE SET membership = excluded.membership,
      event_id = excluded.event_id, sender = excluded.sender, stream = excluded.stream,
      forgotten = ${0}, stripped_state = excluded.stripped_state
  `)
}

export function forgetMembership(tx: Writer, userId: UserId, roomId: RoomId): void {
  tx.run(sql`
    UPDATE local_memberships SET forgotten = ${1}
    WHERE user_id = ${userId} AND room_id = ${roomId}
  `)
}

export async function membershipRow(
  db: Reader,
  userId: UserId,
  roomId: RoomId,
): Promise<MembershipRow | undefined> {
  return await db.first<MembershipRow>(sql`
    SELECT ${columns} FROM local_memberships m
    WHERE m.user_id = ${userId} AND m.room_id = ${roomId}
  `)
}

export async function membershipRows(
  db: Reader,
  userId: UserId,
  { forgotten }: { readonly forgotten: boolean },
): Promise<MembershipRow[]> {
  return await db.all<MembershipRow>(sql`
    SELECT ${columns} FROM local_memberships m
    WHERE m.user_id = ${userId} AND m.forgotten <= ${Number(forgotten)} ORDER BY m.room_id
  `)
}

/** Local users with a membership in a room. */
export async function localUsersWith(
  db: Reader,
  roomId: RoomId,
  membership: string,
): Promise<UserId[]> {
  const rows = await db.all<{ user_id: UserId }>(sql`
    SELECT user_id FROM local_memberships
    WHERE room_id = ${roomId} AND membership = ${membership} ORDER BY user_id
  `)
  return rows.map((row) => row.user_id)
}

/** The rooms that guests are in. */
export async function roomsOfGuests(db: Reader): Promise<RoomId[]> {
  const rows = await db.all<{ room_id: RoomId }>(sql`
    SELECT DISTINCT room_id FROM local_memberships
    WHERE user_id IN (SELECT user_id FROM accounts WHERE guest = 1) AND membership = 'join'
  `)
  return rows.map((row) => row.room_id)
}

/** Local users who are in a room, or may yet be. */
export async function localUsersOf(db: Reader, roomId: RoomId): Promise<UserId[]> {
  const rows = await db.all<{ user_id: UserId }>(sql`
    SELECT user_id FROM local_memberships
    WHERE room_id = ${roomId} AND membership IN ('join', 'invite', 'knock') ORDER BY user_id
  `)
  return rows.map((row) => row.user_id)
}

/**
 * Whether users of another server have, or had, to do with a room that a local user is in, was invited to
 * or knocks on. Of rooms of which not all members are known here any server may be in, so that all have.
 */
export async function isAcquainted(
  db: Reader,
  userId: UserId,
  server: ServerName,
): Promise<boolean> {
  const ofServer = `%:${server.replace(/[\\%_]/g, '\\$&')}`
  const row = await db.first<{ room_id: RoomId }>(sql`
    SELECT m.room_id FROM local_memberships m LEFT JOIN rooms r ON r.room_id = m.room_id
    WHERE m.user_id = ${userId} AND m.membership IN ('join', 'invite', 'knock') AND (
      NOT EXISTS (SELECT 1 FROM local_memberships j
        WHERE j.room_id = m.room_id AND j.membership = 'join')
      OR EXISTS (SELECT 1 FROM partial_rooms p WHERE p.room_nid = r.room_nid)
      OR EXISTS (SELECT 1 FROM state_keys k WHERE k.room_nid = r.room_nid
        AND k.type = 'm.room.member' AND k.state_key LIKE ${ofServer} ESCAPE '\\')
    ) LIMIT 1
  `)
  return row !== undefined
}
