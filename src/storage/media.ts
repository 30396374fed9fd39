/**
 * Media: which there are, and which file has the content of each. Files have the name of their hash
 * and are shared by all media of the same content.
 *
 * A file is noted as loose before it is put in its place, and before the last row that names it
 * goes, so that after a crash no file is left that nobody knows of.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#content-repository
 *
 * @module
 */

import type { ServerName, UserId } from '#protocol/identifiers/ids.ts'
import { type Reader, sql, type Writer } from './database.ts'

/** The content of a medium. */
export interface ContentRow {
  readonly sha256: string
  readonly bytes: number
  readonly content_type: string
  readonly file_name: string | null
}

export interface LocalMediaRow {
  readonly user_id: UserId
  readonly unused_expires_ts: number | null
  readonly sha256: string | null
  readonly bytes: number | null
  readonly content_type: string | null
  readonly file_name: string | null
}

export interface RemoteMediaName {
  readonly serverName: ServerName
  readonly mediaId: string
}

/** What a thumbnail was asked to be. */
export interface ThumbnailKind {
  readonly width: number
  readonly height: number
  readonly method: 'crop' | 'scale'
  readonly animated: boolean
}

export async function localMedia(db: Reader, mediaId: string): Promise<LocalMediaRow | undefined> {
  return await db.first(sql`
    SELECT user_id, unused_expires_ts, sha256, bytes, content_type, file_name FROM local_media
    WHERE media_id = ${mediaId}
  `)
}

/** A name for content that is yet to come. */
export function createMedia(
  tx: Writer,
  row: {
    readonly mediaId: string
    readonly userId: UserId
    readonly now: number
    readonly unusedExpiresTs: number
  },
): void {
  tx.run(sql`
    INSERT INTO local_media (media_id, user_id, created_ts, unused_expires_ts)
    VALUES (${row.mediaId}, ${row.userId}, ${row.now}, ${row.unusedExpiresTs})
  `)
}

/** Gives content to a name that has none; the unit fails with an `expectation` if it has. */
export function fillMedia(tx: Writer, mediaId: string, content: ContentRow): void {
  tx.expect(
    sql`
      UPDATE local_media SET sha256 = ${content.sha256}, bytes = ${content.bytes},
        content_type = ${content.content_type}, file_name = ${content.file_name},
        unused_expires_ts = NULL
      WHERE media_id = ${mediaId} AND sha256 IS NULL
    `,
    'the media ID has content already, or is gone',
  )
}

/** Forgets names that got no content in time. */
export function forgetUnused(tx: Writer, now: number): void {
  tx.run(sql`DELETE FROM local_media WHERE sha256 IS NULL AND unused_expires_ts <= ${now}`)
}

/** How many names of a user wait for content. */
export async function pendingMedia(db: Reader, userId: UserId, now: number): Promise<number> {
  const row = await db.first<{ pending: number }>(sql`
    SELECT COUNT(*) AS pending FROM local_media
    WHERE user_id = ${userId} AND unused_expires_ts > ${now}
  `)
  return row?.pending ?? 0
}

export async function remoteMedia(
  db: Reader,
  { serverName, mediaId }: RemoteMediaName,
): Promise<(ContentRow & { readonly used_ts: number }) | undefined> {
  return await db.first(sql`
    SELECT used_ts, sha256, bytes, content_type, file_name FROM remote_media
    WHERE server_name = ${serverName} AND media_id = ${mediaId}
  `)
}

export function putRemoteMedia(
  tx: Writer,
  { serverName, mediaId }: RemoteMediaName,
  row: ContentRow & { readonly used_ts: number },
): void {
  tx.run(sql`
    INSERT INTO remote_media
      (server_name, media_id, used_ts, sha256, bytes, content_type, file_name)
    VALUES (${serverName}, ${mediaId}, ${row.used_ts}, ${row.sha256}, ${row.bytes},
      ${row.content_type}, ${row.file_name})
    ON CONFLICT (server_name, media_id) DO NOTHING
  `)
}

export function touchRemoteMedia(
  tx: Writer,
  { serverName, mediaId }: RemoteMediaName,
  now: number,
): void {
  tx.run(sql`
    UPDATE remote_media SET used_ts = ${now}
    WHERE server_name = ${serverName} AND media_id = ${mediaId}
  `)
}

export async function remoteMediaBytes(db: Reader): Promise<number> {
  const row = await db.first<{ bytes: number | null }>(sql`
    SELECT CAST(SUM(bytes) AS BIGINT) AS bytes FROM remote_media
  `)
  return row?.bytes ?? 0
}

/** Media of other servers, those first that were used longest ago. */
export async function leastUsedRemoteMedia(
  db: Reader,
  limit: number,
): Promise<{ server_name: ServerName; media_id: string; sha256: string; bytes: number }[]> {
  return await db.all(sql`
    SELECT server_name, media_id, sha256, bytes FROM remote_media
    ORDER BY used_ts, server_name, media_id LIMIT ${limit}
  `)
}

export function deleteRemoteMedia(tx: Writer, { serverName, mediaId }: RemoteMediaName): void {
  tx.run(sql`
    DELETE FROM remote_media WHERE server_name = ${serverName} AND media_id = ${mediaId}
  `)
}

export async function thumbnailOf(
  db: Reader,
  originalSha256: string,
  { width, height, method, animated }: ThumbnailKind,
): Promise<Omit<ContentRow, 'file_name'> | undefined> {
  return await db.first(sql`
    SELECT sha256, bytes, content_type FROM thumbnails
    WHERE original_sha256 = ${originalSha256} AND width = ${width} AND height = ${height}
      AND method = ${method} AND animated = ${Number(animated)}
  `)
}

export function putThumbnail(
  tx: Writer,
  originalSha256: string,
  { width, height, method, animated }: ThumbnailKind,
  content: Omit<ContentRow, 'file_name'>,
): void {
  tx.run(sql`
    INSERT INTO thumbnails
      (original_sha256, width, height, method, animated, sha256, bytes, content_type)
    VALUES (${originalSha256}, ${width}, ${height}, ${method}, ${Number(animated)},
      ${content.sha256}, ${content.bytes}, ${content.content_type})
    ON CONFLICT (original_sha256, width, height, method, animated) DO NOTHING
  `)
}

/** The thumbnails made of a content. */
export async function thumbnailFiles(db: Reader, originalSha256: string): Promise<string[]> {
  const rows = await db.all<{ sha256: string }>(sql`
    SELECT DISTINCT sha256 FROM thumbnails WHERE original_sha256 = ${originalSha256}
  `)
  return rows.map(({ sha256 }) => sha256)
}

export function deleteThumbnailsOf(tx: Writer, originalSha256: string): void {
  tx.run(sql`DELETE FROM thumbnails WHERE original_sha256 = ${originalSha256}`)
}

/** Whether a file is the content of any medium or thumbnail. */
export async function isFileNamed(db: Reader, sha256: string): Promise<boolean> {
  const row = await db.first(sql`
    SELECT sha256 FROM local_media WHERE sha256 = ${sha256}
    UNION ALL SELECT sha256 FROM remote_media WHERE sha256 = ${sha256}
    UNION ALL SELECT sha256 FROM thumbnails WHERE sha256 = ${sha256}
    LIMIT 1
  `)
  return row !== undefined
}

/** Whether a content is one of a medium, so that thumbnails of it are of use. */
export async function isContentNamed(db: Reader, sha256: string): Promise<boolean> {
  const row = await db.first(sql`
    SELECT sha256 FROM local_media WHERE sha256 = ${sha256}
    UNION ALL SELECT sha256 FROM remote_media WHERE sha256 = ${sha256}
    LIMIT 1
  `)
  return row !== undefined
}

export function noteLooseFile(tx: Writer, sha256: string): void {
  tx.run(sql`INSERT INTO loose_media_files (sha256) VALUES (${sha256}) ON CONFLICT DO NOTHING`)
}

export function forgetLooseFile(tx: Writer, sha256: string): void {
  tx.run(sql`DELETE FROM loose_media_files WHERE sha256 = ${sha256}`)
}

export async function looseFiles(db: Reader): Promise<string[]> {
  const rows = await db.all<{ sha256: string }>(sql`
    SELECT sha256 FROM loose_media_files ORDER BY sha256
  `)
  return rows.map(({ sha256 }) => sha256)
}
