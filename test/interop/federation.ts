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
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import { after } from 'node:test'
import { type Certificate, makeAuthority } from '../../src/io/certificates.ts'
import { Client, type Json } from '../rig/client.ts'
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
  /** Asks it as another server does, over TLS; `path` from the root. Nobody signs the request. */
  ask(method: string, path: string, body?: unknown): Promise<Answer>
}

export interface Answer {
  readonly status: number
  readonly body: Json
}

export type Members = readonly [Member, Member, Member]

/** What a Synapse does for tests of more than rooms. */
const everything = `
presence: {enabled: true}
rc_presence: {per_user: {per_second: 10000, burst_count: 10000}}
stats: {enabled: true}
allow_public_rooms_without_auth: true
`

export class Federation {
  readonly #members: Member[] = []
  readonly #folder: string
  readonly #authority: Certificate
  readonly #python: string | undefined
  readonly #isWhole: boolean
  #users = 0

  private constructor(options: {
    folder: string
    authority: Certificate
    python: string | undefined
    isWhole: boolean
  }) {
    this.#folder = options.folder
    this.#authority = options.authority
    this.#python = options.python
    this.#isWhole = options.isWhole
  }

  /**
   * Starts the servers, to be ended after the tests of the file, or tells why it cannot. A Synapse that
   * is `whole` also does what rooms can do without: presence, and what the room directory needs.
   */
  static async start({ whole = false } = {}): Promise<Federation | string> {
    const kinds = (process.env.HANSA_TEST_SERVERS ?? 'synapse,hansa,hansa').split(',')
    assert.equal(kinds.length, 3, 'HANSA_TEST_SERVERS names three servers')
    const python = findPython()
    if (python === undefined && kinds.includes('synapse')) {
      return 'there is no Python with Synapse: run test/rig/install-python.sh'
    }
    const folder = mkdtempSync(join(tmpdir(), 'hansa-interop-'))
    const authority = await makeAuthority('Interop', Date.now())
    const federation = new Federation({ folder, authority, python, isWhole: whole })
    // The runner ends the processes of files by this signal when it is ended itself.
    process.once('SIGTERM', () => process.exit(143))
    after(() => federation.#end())
    for (const kind of kinds) await federation.add(kind)
    return federation
  }

  get members(): Members {
    const [first, second, third] = this.#members
    assert.ok(first && second && third)
    return [first, second, third]
  }

  /**
   * Starts one server more. `notaries` are asked for the keys of servers that do not answer; `more` is
   * of a Hansa's configuration.
   */
  async add(kind: string, { notaries = [] as readonly Member[], more = '' } = {}): Promise<Member> {
    const index = this.#members.length
    // Test files that run at the same time have addresses of their own, and so ports.
    const host = `127.${1 + (process.pid % 200)}.0.${11 + index}`
    const publicPort = await freePort(host)
    const server = {
      folder: join(this.#folder, `${index}`),
      host,
      authority: this.#authority,
      publicPort,
    }
    const names = notaries.map((notary) => notary.process.serverName)
    const prepared =
      kind === 'synapse'
        ? await prepareSynapse({
            ...server,
            python: this.#python ?? '',
            lean: true,
            more: `${this.#isWhole ? everything : ''}${trusting(names)}`,
          })
        : await prepareHansa({ ...server, notaries: names, more })
    const plug = await Plug.between(host, { port: publicPort, innerPort: prepared.tlsPort })
    const ca = this.#authority.cert
    const url = `https://${prepared.serverName}`
    const member: Member = {
      kind,
      process: prepared,
      plug,
      ask: (method, path, body) => askOverTls(`${url}${path}`, { method, ca, body }),
    }
    this.#members.push(member)
    await prepared.start()
    return member
  }

  async #end(): Promise<void> {
    const fallen = this.#members.filter(({ process }) => process.condition.startsWith('ended'))
    const falls = fallen.map(({ process }) => `${process.serverName} ${process.condition}`)
    const endings = await Promise.allSettled(this.#members.map(end))
    const problems = endings.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []))
    const complaints = this.#members.flatMap(complaintsOf)
    if (process.env.HANSA_TEST_KEEP === undefined) rmSync(this.#folder, { recursive: true })
    else console.log(`The servers' files are in ${this.#folder}`)
    assert.deepEqual([...falls, ...problems, ...complaints], [])
  }

  /** A new user on a server. */
  async user({ process }: Member, name: string): Promise<Client> {
    this.#users += 1
    return await Client.register(process.baseUrl, `${name}${this.#users}`)
  }

  /** Pulls all plugs: each server is alone. */
  cut(): void {
    for (const { plug } of this.#members) plug.pull()
  }

  heal(): void {
    for (const { plug } of this.#members) plug.putBack()
  }

  /** Adds to a failure what the servers said last. */
  async explaining<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      const logs = this.#members.map(
        ({ kind, process }) =>
          `--- ${kind} ${process.serverName} ${process.condition}\n${process.logTail(logLines).trimEnd()}`,
      )
      const message = error instanceof Error ? error.message : String(error)
      const kept = process.env.HANSA_TEST_KEEP === undefined ? '' : `\nfiles: ${this.#folder}`
      throw new Error(`${message}\n${logs.join('\n')}${kept}`, { cause: error })
    }
  }
}

/** Synapse's setting for the servers that it asks for keys. */
function trusting(names: readonly string[]): string {
  const list = names.map((name) => `{server_name: "${name}"}`)
  return `trusted_key_servers: [${list.join(', ')}]\n`
}

function askOverTls(
  url: string,
  { method, ca, body }: { method: string; ca: string; body: unknown },
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : { 'content-type': 'application/json' }
    const asking = request(url, { method, ca, headers, agent: false }, async (answer) => {
      try {
        resolve({ status: answer.statusCode ?? 0, body: (await json(answer)) as Json })
      } catch (error) {
        reject(error)
      }
    })
    asking.on('error', reject)
    asking.end(body === undefined ? undefined : JSON.stringify(body))
  })
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
