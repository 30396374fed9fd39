/**
 * Three servers that federate over real TLS on loopback: a Synapse and two Hansas, each behind a
 * plug that can be pulled.
 *
 * `HANSA_TEST_SERVERS` can name other kinds, such as `synapse,synapse,synapse`, which shows that a
 * scenario asks of Hansa only what Synapse does too.
 *
 * @module
 */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeAuthority } from '../../src/io/certificates.ts'
import { Client } from '../rig/client.ts'
import { prepareHansa } from '../rig/hansa.ts'
import { freePort, type ServerProcess } from '../rig/processes.ts'
import { Plug } from '../rig/proxy.ts'
import { findPython } from '../rig/python.ts'
import { prepareSynapse } from '../rig/synapse.ts'

export interface Member {
  readonly kind: string
  readonly process: ServerProcess
  readonly plug: Plug
}

export class Federation {
  readonly members: readonly Member[]
  readonly folder: string
  #users = 0

  private constructor(members: readonly Member[], folder: string) {
    this.members = members
    this.folder = folder
  }

  /** Starts the servers, or tells why it cannot. */
  static async start(): Promise<Federation | string> {
    const kinds = (process.env.HANSA_TEST_SERVERS ?? 'synapse,hansa,hansa').split(',')
    const python = findPython()
    if (python === undefined && kinds.includes('synapse')) {
      return 'there is no Python with Synapse: run test/rig/install-python.sh'
    }
    const folder = mkdtempSync(join(tmpdir(), 'hansa-interop-'))
    const authority = await makeAuthority('Interop', Date.now())
    const members: Member[] = []
    for (const [index, kind] of kinds.entries()) {
      const host = `127.0.0.${11 + index}`
      const publicPort = await freePort(host)
      const options = { folder: join(folder, `${index}`), host, authority, publicPort }
      const process =
        kind === 'synapse'
          ? await prepareSynapse({ ...options, python: python ?? '' })
          : await prepareHansa(options)
      await process.start()
      const plug = await Plug.between(host, { port: publicPort, innerPort: process.tlsPort })
      members.push({ kind, process, plug })
    }
    return new Federation(members, folder)
  }

  /** A new user on a server. */
  async user(member: Member, name: string): Promise<Client> {
    this.#users += 1
    return await Client.register(member.process.baseUrl, `${name}${this.#users}`)
  }

  /** Pulls all plugs: each server is alone. */
  cut(): void {
    for (const { plug } of this.members) plug.pull()
  }

  heal(): void {
    for (const { plug } of this.members) plug.putBack()
  }

  async end(): Promise<void> {
    for (const { process, plug } of this.members) {
      plug.close()
      await process.end()
    }
    if (process.env.HANSA_TEST_KEEP === undefined)
      rmSync(this.folder, { recursive: true, force: true })
  }

  /** What the servers logged last, for failures. */
  logs(): string {
    return this.members
      .map(({ process }) => `--- ${process.serverName}\n${process.logTail(15)}`)
      .join('\n')
  }
}
