/**
 * A server that is measured: Hansa or Synapse as a process of its own, each on the same kind of
 * database, as durable, without limits of rate.
 *
 * @module
 */

import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import type { Certificate } from '#io/certificates.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import packageJson from '../package.json' with { type: 'json' }
import { prepareHansa } from '../test/rig/hansa.ts'
import type { ServerProcess } from '../test/rig/processes.ts'
import { findPython } from '../test/rig/python.ts'
import { prepareSynapse } from '../test/rig/synapse.ts'
import { heapProbeFlag } from './heap-probe.ts'
import { makeStore, type Store, type StoreKind } from './store.ts'

export type Kind = 'hansa' | 'synapse'

/** A migration may write all of a large store anew. */
const startAgainMsMax = 3_600_000

export interface SubjectOptions {
  readonly folder: string
  readonly authority: Certificate
  /** Where a CPU profile of Hansa is written. */
  readonly profile?: string | undefined
  /** Whether Hansa can be asked what its heap holds. */
  readonly asksHeap?: boolean | undefined
  readonly database?: StoreKind
  /** Its address, where another one is measured beside it. */
  readonly host?: string
}

export class Subject {
  readonly kind: Kind
  /** Where its configuration is, if it is a Hansa. */
  readonly configFile: string
  readonly #process: ServerProcess
  readonly #store: Store

  private constructor(kind: Kind, process: ServerProcess, store: Store, folder: string) {
    this.kind = kind
    this.configFile = join(folder, 'hansa.yaml')
    this.#process = process
    this.#store = store
  }

  /** Starts one with its files in `folder`. */
  static async start(
    kind: Kind,
    {
      folder,
      authority,
      profile,
      asksHeap,
      database = 'sqlite',
      host = '127.0.0.21',
    }: SubjectOptions,
  ): Promise<Subject> {
    const store = await makeStore(database, kind, folder)
    const options = { folder, host, authority }
    const process = await (kind === 'hansa'
      ? prepareHansa({
          ...options,
          more: `database: ${store.setting}`,
          nodeFlags: [
            ...(profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`]),
            ...(asksHeap ? [heapProbeFlag(host)] : []),
          ],
        })
      : prepareSynapse({
          ...options,
          python: findPython() ?? '',
          database: store.setting,
          quiet: true,
        }))
    await process.start()
    return new Subject(kind, process, store, folder)
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

  /** Where its database is, if that is a file. */
  get databaseFile(): string | undefined {
    return this.#store.file
  }

  /** The bytes of its database that are in use. */
  databaseBytes(): Promise<number> {
    return this.#store.bytes()
  }

  /** All that it has logged. */
  log(): string {
    return this.#process.logTail(Number.POSITIVE_INFINITY)
  }

  logTail(): string {
    return this.#process.logTail()
  }

  async end(signal?: NodeJS.Signals): Promise<void> {
    await this.#process.end(signal)
  }

  /** Starts it on what it left, and waits until it answers. */
  async startAgain(): Promise<void> {
    await this.#process.start(startAgainMsMax)
  }
}

export function versionOf(kind: Kind): string {
  if (kind === 'hansa') return `Hansa ${packageJson.version}`
  const python = findPython() ?? ''
  const program = 'import synapse; print("Synapse", synapse.__version__)'
  return execFileSync(python, ['-c', program], { encoding: 'utf8' }).trim()
}
