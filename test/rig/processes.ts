/**
 * Servers as processes: free ports, start, wait until they serve, stop, kill.
 *
 * @module
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { createWriteStream, readFileSync } from 'node:fs'
import { createServer } from 'node:net'

/** A port that was free a moment ago. */
export function freePort(host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, host, () => {
      const address = server.address()
      server.close(() =>
        typeof address === 'object' && address
          ? resolve(address.port)
          : reject(new Error('no port')),
      )
    })
  })
}

/** A server that runs as a process and can be stopped, frozen and killed. */
export class ServerProcess {
  readonly serverName: string
  /** Where clients reach it. */
  readonly baseUrl: string
  /** Where it speaks TLS itself. */
  readonly tlsPort: number
  readonly logFile: string
  readonly #command: readonly string[]
  readonly #environment: Record<string, string>
  #child: ChildProcess | undefined

  constructor(options: {
    serverName: string
    baseUrl: string
    tlsPort: number
    logFile: string
    command: readonly string[]
    environment?: Record<string, string>
  }) {
    this.serverName = options.serverName
    this.baseUrl = options.baseUrl
    this.tlsPort = options.tlsPort
    this.logFile = options.logFile
    this.#command = options.command
    this.#environment = options.environment ?? {}
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  /** Starts it and waits until it answers. */
  async start(limitMs = 30_000): Promise<void> {
    const [program = '', ...args] = this.#command
    const log = createWriteStream(this.logFile, { flags: 'a' })
    const child = spawn(program, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...this.#environment },
    })
    this.#child = child
    child.stdout.pipe(log)
    child.stderr.pipe(log)
    const end = performance.now() + limitMs
    while (!(await this.#answers())) {
      if (child.exitCode !== null || performance.now() > end) {
        throw new Error(`${this.serverName} did not start:\n${this.logTail()}`)
      }
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }

  async #answers(): Promise<boolean> {
    try {
      const response = await fetch(`${this.baseUrl}/_matrix/client/versions`)
      await response.arrayBuffer()
      return response.ok
    } catch {
      return false
    }
  }

  /** The last lines of its log, for messages of failures. */
  logTail(lines = 30): string {
    return readFileSync(this.logFile, 'utf8').split('\n').slice(-lines).join('\n')
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal)
  }

  /** Ends it with a signal and waits for its end. Gives the exit code. */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return null
    const ended = new Promise<number | null>((resolve) => child.once('exit', resolve))
    child.kill(signal)
    if (signal !== 'SIGKILL') child.kill('SIGCONT')
    const code = await ended
    this.#child = undefined
    return code
  }
}
