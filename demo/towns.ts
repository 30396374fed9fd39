/**
 * The servers of the demonstration: Hansas as processes, which speak TLS with certificates of one
 * authority, each behind a plug that can be pulled.
 *
 * @module
 */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeAuthority } from '../src/io/certificates.ts'
import { Client } from '../test/rig/client.ts'
import { prepareHansa } from '../test/rig/hansa.ts'
import { freePort, type ServerProcess } from '../test/rig/processes.ts'
import { Plug } from '../test/rig/proxy.ts'

const host = '127.0.0.1'

export interface Town {
  readonly title: string
  readonly process: ServerProcess
  readonly plug: Plug
}

export class Towns {
  readonly towns: readonly Town[]
  /** Where the servers keep their files. */
  readonly folder: string

  private constructor(towns: readonly Town[], folder: string) {
    this.towns = towns
    this.folder = folder
  }

  /** Makes all that a server for each title needs, but starts none. */
  static async prepare(titles: readonly string[]): Promise<Towns> {
    const folder = mkdtempSync(join(tmpdir(), 'hansa-demo-'))
    const authority = await makeAuthority('Demonstration', Date.now())
    const towns: Town[] = []
    for (const [at, title] of titles.entries()) {
      const port = await freePort(host)
      const options = { folder: join(folder, `${at}`), host, authority, publicPort: port }
      const process = await prepareHansa(options)
      const plug = await Plug.between(host, { port, innerPort: process.tlsPort })
      towns.push({ title, process, plug })
    }
    return new Towns(towns, folder)
  }

  async start(): Promise<void> {
    await Promise.all(this.towns.map(({ process }) => process.start()))
  }

  cut(): void {
    for (const { plug } of this.towns) plug.pull()
  }

  heal(): void {
    for (const { plug } of this.towns) plug.putBack()
  }

  async end(): Promise<void> {
    for (const { plug } of this.towns) plug.close()
    await Promise.all(this.towns.map(({ process }) => process.end()))
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** What all accounts of the demonstration have as password. */
export const password = 'herring'

/** Makes an account, of an administrator of the server if asked, and logs it in. */
export async function settle(town: Town, name: string, { admin = false } = {}): Promise<Client> {
  const account = { username: name.toLowerCase(), password, admin, displayname: name }
  return await Client.registerWithSecret(town.process.baseUrl, account)
}
