/**
 * A server that is measured: Hansa or Synapse as a process of its own, each on the same kind of
 * database, as durable, without limits of rate.
 *
 * @module
 */

import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Certificate } from '#io/certificates.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import packageJson from '../package.json' with { type: 'json' }
import { prepareHansa } from '../test/rig/hansa.ts'
import type { ServerProcess } from '../test/rig/processes.ts'
import { findPython } from '../test/rig/python.ts'
import { prepareSynapse } from '../test/rig/synapse.ts'

export type Kind = 'hansa' | 'synapse'

export class Subject {
  readonly kind: Kind
  readonly #process: ServerProcess
  readonly #databaseFile: string

  private constructor(kind: Kind, process: ServerProcess, databaseFile: string) {
    this.kind = kind
    this.#process = process
    this.#databaseFile = databaseFile
  }

  /** Starts one with its files in `folder`. */
  static async start(
    kind: Kind,
    {
      folder,
      authority,
      profile,
    }: { folder: string; authority: Certificate; profile: string | undefined },
  ): Promise<Subject> {
    const options = { folder, host: '127.0.0.21', authority }
    const nodeFlags = profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`]
    const process =
      kind === 'hansa'
        ? await prepareHansa({ ...options, nodeFlags })
        : await prepareSynapse({ ...options, python: findPython() ?? '' })
    await process.start()
    const file = kind === 'hansa' ? 'hansa.db' : 'homeserver.db'
    return new Subject(kind, process, join(folder, file))
  }

  get serverName(): ServerName {
    return this.#process.serverName as ServerName
  }

  get baseUrl(): string {
    return this.#process.baseUrl
  }

  get pid(): number {
    const { pid } = this.#process
    if (pid === undefined) throw new Error(`${this.kind} does not run`)
    return pid
  }

  /** The bytes of its database that are in use, the log's included. */
  databaseBytes(): number {
    const db = new DatabaseSync(this.#databaseFile, { readOnly: true })
    const pragma = (name: string) => Number(db.prepare(`PRAGMA ${name}`).get()?.[name])
    const bytes = (pragma('page_count') - pragma('freelist_count')) * pragma('page_size')
    db.close()
    return bytes
  }

  logTail(): string {
    return this.#process.logTail()
  }

  async end(): Promise<void> {
    await this.#process.end()
  }
}

export function versionOf(kind: Kind): string {
  if (kind === 'hansa') return `Hansa ${packageJson.version}`
  const python = findPython() ?? ''
  const program = 'import synapse; print("Synapse", synapse.__version__)'
  return execFileSync(python, ['-c', program], { encoding: 'utf8' }).trim()
}
