/**
 * Three servers that federate over real TLS on loopback: a Synapse and two Hansas, each behind a
 * plug that can be pulled.
 *
 * `HANSA_TEST_SERVERS` can name other kinds, such as `synapse,synapse,synapse`, which shows that a
 * scenario asks of Hansa only what Synapse does too. `HANSA_TEST_KEEP=1` leaves their files.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { type Certificate, makeAuthority } from '../../src/io/certificates.ts'
import { Client } from '../rig/client.ts'
import { prepareHansa } from '../rig/hansa.ts'
import { freePort, type ServerProcess } from '../rig/processes.ts'
import { Plug } from '../rig/proxy.ts'
import { findPython } from '../rig/python.ts'
import { prepareSynapse } from '../rig/synapse.ts'

/** How many lines of each server's log a failure shows. */
const logLines = 25

export interface Member {
  readonly kind: string
  readonly process: ServerProcess
  readonly plug: Plug
}

export type Members = readonly [Member, Member, Member]

export class Federation {
  readonly members: Members
  readonly #folder: string
  #users = 0

  private constructor(members: Members, folder: string) {
    this.members = members
    this.#folder = folder
  }

  /** Starts the servers, to be ended after the tests of the file, or tells why it cannot. */
  static async start(): Promise<Federation | string> {
    const kinds = (process.env.HANSA_TEST_SERVERS ?? 'synapse,hansa,hansa').split(',')
    const python = findPython()
    if (python === undefined && kinds.includes('synapse')) {
      return 'there is no Python with Synapse: run test/rig/install-python.sh'
    }
    const folder = mkdtempSync(join(tmpdir(), 'hansa-interop-'))
    const authority = await makeAuthority('Interop', Date.now())
    const members: Member[] = []
    // The runner ends the processes of files by this signal when it is ended itself.
    process.once('SIGTERM', () => process.exit(143))
    after(async () => {
      const fallen = members.filter(({ process }) => process.condition.startsWith('ended'))
      const falls = fallen.map(({ process }) => `${process.serverName} ${process.condition}`)
      const endings = await Promise.allSettled(members.map(end))
      const problems = endings.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []))
      const complaints = members.flatMap(complaintsOf)
      if (process.env.HANSA_TEST_KEEP === undefined) rmSync(folder, { recursive: true })
      else console.log(`The servers' files are in ${folder}`)
      assert.deepEqual([...falls, ...problems, ...complaints], [])
    })
    for (const [index, kind] of kinds.entries()) {
      // Test files that run at the same time have addresses of their own, and so ports.
      const host = `127.${1 + (process.pid % 200)}.0.${11 + index}`
      const memberFolder = join(folder, `${index}`)
      const member = await prepare(kind, { folder: memberFolder, host, authority, python })
      members.push(member)
      await member.process.start()
    }
    const [first, second, third] = members
    assert.ok(first && second && third, 'HANSA_TEST_SERVERS names three servers')
    return new Federation([first, second, third], folder)
  }

  /** A new user on a server. */
  async user({ process }: Member, name: string): Promise<Client> {
    this.#users += 1
    return await Client.register(process.baseUrl, `${name}${this.#users}`)
  }

  /** Pulls all plugs: each server is alone. */
  cut(): void {
    for (const { plug } of this.members) plug.pull()
  }

  heal(): void {
    for (const { plug } of this.members) plug.putBack()
  }

  /** Adds to a failure what the servers said last. */
  async explaining<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      const logs = this.members.map(
        ({ kind, process }) =>
          `--- ${kind} ${process.serverName} ${process.condition}\n${process.logTail(logLines).trimEnd()}`,
      )
      const message = error instanceof Error ? error.message : String(error)
      const kept = process.env.HANSA_TEST_KEEP === undefined ? '' : `\nfiles: ${this.#folder}`
      throw new Error(`${message}\n${logs.join('\n')}${kept}`, { cause: error })
    }
  }
}

async function prepare(
  kind: string,
  {
    python,
    ...options
  }: { folder: string; host: string; authority: Certificate; python: string | undefined },
): Promise<Member> {
  const { host } = options
  const publicPort = await freePort(host)
  const server = { ...options, publicPort }
  const process =
    kind === 'synapse'
      ? await prepareSynapse({ ...server, python: python ?? '', lean: true })
      : await prepareHansa(server)
  const plug = await Plug.between(host, { port: publicPort, innerPort: process.tlsPort })
  return { kind, process, plug }
}

/** What a Hansa logged as in need of a human: nothing that others do is that. */
function complaintsOf({ kind, process }: Member): string[] {
  if (kind !== 'hansa') return []
  return readFileSync(process.logFile, 'utf8')
    .split('\n')
    .filter((line) => line.split(' ')[1] === 'error')
}

async function end({ process, plug }: Member): Promise<void> {
  plug.close()
  await process.end()
}
