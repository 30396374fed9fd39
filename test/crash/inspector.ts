/**
 * Looks at what a loss of power has left: the database, the files of media, and a server that starts on it.
 *
 * @module
 */

import { createHash } from 'node:crypto'
import { existsSync, globSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { SeededRandom } from '../../src/io/simulated/simulated-random.ts'
import { examineStore } from '../../src/rooms/examine-store.ts'
import { sql } from '../../src/storage/database.ts'
import { openSqlite } from '../../src/storage/sqlite.ts'
import { problemsOfSqlite } from '../../src/storage/sqlite-files.ts'
import { namedFiles } from '../../src/storage/store-check.ts'
import { ServerProcess } from '../rig/processes.ts'
import type { Disk, Loss } from './disk.ts'
import type { Recording } from './recording.ts'

const main = new URL('../../bin/hansa.js', import.meta.url).pathname
/** How many events and media a started server is asked for, those that were told last. */
const askedMax = 5

/** What users were told of: IDs of events, and URIs of media. */
export type Told = Set<string>

export interface Inspection {
  readonly loss: Loss
  /** The content of the database as a hash; `undefined` if there is none. */
  readonly content: string | undefined
  readonly problems: readonly string[]
}

/** What a database holds. */
interface Holding {
  readonly problems: readonly string[]
  readonly eventIds: ReadonlySet<string>
  /** The hashes of files, by the URIs of what they are the content of. */
  readonly uploads: ReadonlyMap<string, string>
  readonly files: readonly string[]
}

export class Inspector {
  readonly #recording: Recording
  readonly #folder: string
  /** Most disks have a database that another one has, too. */
  readonly #holdings = new Map<string, Holding>()

  /** `folder` is used for disks, one after the other. */
  constructor(recording: Recording, folder: string) {
    this.#recording = recording
    this.#folder = folder
  }

  /** How many different databases there were. */
  get contents(): number {
    return this.#holdings.size
  }

  /** The content of the database if nothing at all were lost. */
  whole(disk: Disk, random: SeededRandom): string | undefined {
    const target = join(this.#folder, 'whole')
    disk.image(target, random, 'nothing')
    const content = contentOf(join(target, 'hansa.db'))
    rmSync(target, { recursive: true })
    return content
  }

  async look(
    disk: Disk,
    {
      random,
      told,
      isStarted,
    }: { readonly random: SeededRandom; readonly told: Told; readonly isStarted: boolean },
  ): Promise<Inspection> {
    const target = join(this.#folder, 'image')
    const loss = disk.image(target, random.fork('image'))
    const path = join(target, 'hansa.db')
    const content = contentOf(path)
    const holding = content === undefined ? undefined : await this.#holdingOf(path, content)
    const problems = [
      ...(holding?.problems ?? []),
      ...faultsOfFiles(target, holding),
      ...missingOf(told, holding),
    ]
    rmSync(target, { recursive: true })
    if (isStarted) {
      disk.image(target, random.fork('image'))
      problems.push(...(await this.#start(target, told)))
      rmSync(target, { recursive: true })
    }
    return { loss, content, problems }
  }

  async #holdingOf(path: string, content: string): Promise<Holding> {
    const known = this.#holdings.get(content)
    if (known !== undefined) return known
    const db = await openSqlite({ path })
    const { problems } = await examineStore(db)
    const events = await db.all<{ event_id: string }>(sql`SELECT event_id FROM events`)
    const media = await db.all<{ media_id: string; sha256: string }>(
      sql`SELECT media_id, sha256 FROM local_media WHERE sha256 IS NOT NULL`,
    )
    const uploads = media.map(({ media_id, sha256 }) => [media_id, sha256] as const)
    const files = await namedFiles(db)
    await db.close()
    const holding = {
      problems: [...problems, ...problemsOfSqlite(path)],
      eventIds: new Set(events.map(({ event_id }) => event_id)),
      uploads: new Map(uploads),
      files,
    }
    this.#holdings.set(content, holding)
    return holding
  }

  /** Starts a server on a disk, and sees that it gives what was told, and tidies up. */
  async #start(target: string, told: Told): Promise<string[]> {
    const { folder, baseUrl, accessToken, roomId } = this.#recording
    this.#recording.prepare(target)
    const config = join(target, 'hansa.yaml')
    writeFileSync(config, readFileSync(config, 'utf8').replaceAll(folder, target))
    const logFile = join(this.#folder, 'start.log')
    const command = [process.execPath, main, 'start', '--config', config]
    const server = new ServerProcess({ serverName: target, baseUrl, tlsPort: 0, logFile, command })
    const problems: string[] = []
    try {
      await server.start()
      const headers = { authorization: `Bearer ${accessToken}` }
      for (const id of [...told].slice(-askedMax)) {
        const answer = await fetch(`${baseUrl}${pathOf(id, roomId)}`, { headers })
        const { byteLength } = await answer.arrayBuffer()
        const isGiven = answer.ok && byteLength > 0
        if (!isGiven) problems.push(`${id}: ${answer.status} after a start`)
      }
      await server.end('SIGKILL')
    } catch (error) {
      problems.push(String(error))
      await server.end('SIGKILL')
    }
    return [...problems, ...(await looseFiles(target))]
  }
}

/** Where a user asks for what they were told of. */
function pathOf(id: string, roomId: string): string {
  const room = encodeURIComponent(roomId)
  return id.startsWith('$')
    ? `/_matrix/client/v3/rooms/${room}/event/${encodeURIComponent(id)}`
    : id.replace('mxc://', '/_matrix/client/v1/media/download/')
}

/** A hash over all pages of a database as SQLite reads it: with what its log has for it. */
function contentOf(path: string): string | undefined {
  if (!existsSync(path)) return undefined
  const db = new DatabaseSync(path)
  try {
    return createHash('sha256').update(db.serialize()).digest('hex')
  } finally {
    db.close()
  }
}

function fileOf(target: string, sha256: string): string {
  return join(target, 'media', sha256.slice(0, 2), sha256.slice(2, 4), sha256)
}

/** Files that the database names are there, and are what they were. */
function faultsOfFiles(target: string, holding: Holding | undefined): string[] {
  return (holding?.files ?? []).flatMap((sha256) => {
    const path = fileOf(target, sha256)
    if (!existsSync(path)) return [`the file ${sha256} of media is not there`]
    const found = createHash('sha256').update(readFileSync(path)).digest('hex')
    return found === sha256 ? [] : [`the file ${sha256} of media is another one`]
  })
}

function missingOf(told: Told, holding: Holding | undefined): string[] {
  return [...told].flatMap((id) => {
    const mediaId = id.startsWith('mxc:') ? basename(id) : undefined
    const isThere =
      mediaId === undefined ? holding?.eventIds.has(id) : holding?.uploads.has(mediaId)
    return isThere ? [] : [`${id} was told, and is not there`]
  })
}

/** Files of media that nothing names. */
async function looseFiles(target: string): Promise<string[]> {
  const db = await openSqlite({ path: join(target, 'hansa.db') })
  const named = new Set(await namedFiles(db))
  await db.close()
  const files = globSync('media/{??/??,incoming}/*', { cwd: target })
  return files
    .filter((file) => !named.has(basename(file)))
    .map((file) => `${file} is named by nothing after a start`)
}
