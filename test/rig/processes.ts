/**
 * Servers as processes: free ports, start, wait until they serve, stop, kill.
 *
 * @module
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, readFileSync } from 'node:fs'
import { createServer } from 'node:net'

/** Ports that no system gives to who asks for any: what is found free here stays so. */
const ports = { first: 10_000, count: 20_000 } as const
const portTries = 50

/** Servers that run. None outlives this process, unless it is killed by SIGKILL. */
const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** How long a server is given to begin and to end; a loaded machine needs a part of it. */
const limits = { startMs: 120_000, endMs: 60_000 } as const

/** A port that is free on this address. */
export async function freePort(host: string): Promise<number> {
  for (let tries = 0; tries < portTries; tries += 1) {
    const port = ports.first + Math.floor(Math.random() * ports.count)
    if (await isFree(host, port)) return port
  }
  throw new Error(`${host} has no free port`)
}

function isFree(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, host, () => server.close(() => resolve(true)))
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
  readonly #launcher: readonly string[]
  readonly #listens: boolean
  #child: ChildProcess | undefined

  constructor(options: {
    serverName: string
    baseUrl: string
    tlsPort: number
    logFile: string
    command: readonly string[]
    environment?: Record<string, string>
    /** What starts the command, as words before it; looked at anew at each start. */
    launcher?: readonly string[]
    /** Whether it takes messages from the process that starts it. */
    listens?: boolean
  }) {
    this.serverName = options.serverName
    this.baseUrl = options.baseUrl
    this.tlsPort = options.tlsPort
    this.logFile = options.logFile
    this.#command = options.command
    this.#environment = options.environment ?? {}
    this.#launcher = options.launcher ?? []
    this.#listens = options.listens ?? false
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  /** Starts it and waits until it answers. Throws if it does not within `limitMs`. */
  async start(limitMs: number = limits.startMs): Promise<void> {
    const [program = '', ...args] = [...this.#launcher, ...this.#command]
    const log = createWriteStream(this.logFile, { flags: 'a' })
    const child = spawn(program, args, {
      stdio: ['ignore', 'pipe', 'pipe', ...(this.#listens ? (['ipc'] as const) : [])],
      env: { ...process.env, ...this.#environment },
    })
    this.#child = child
    running.add(child)
    child.once('exit', () => running.delete(child))
    child.stdout?.pipe(log)
    child.stderr?.pipe(log)
    const end = performance.now() + limitMs
    while (!(await this.#answers())) {
      if (hasEnded(child) || performance.now() > end) {
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

  /** Tells it something, and waits for its answer. Throws if it does not run. */
  async tell(message: string): Promise<void> {
    const child = this.#child
    if (child === undefined || !child.connected) throw new Error(`${this.serverName} does not run`)
    const over = new AbortController()
    child.once('disconnect', () => over.abort(new Error(`${this.serverName} has ended`)))
    const answered = once(child, 'message', { signal: over.signal })
    child.send(message)
    await answered
  }

  /** How it is, in a word: `runs`, or how it ended. */
  get condition(): string {
    const child = this.#child
    if (child === undefined) return 'was ended'
    if (!hasEnded(child)) return 'runs'
    return `ended by itself with ${child.signalCode ?? `code ${child.exitCode}`}`
  }

  /**
   * Ends it with a signal and waits for its end. Gives the exit code. Throws if it does not end, after
   * killing it.
   */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    const child = this.#child
    if (child === undefined || hasEnded(child)) return null
    const ended = new Promise<number | null>((resolve) => child.once('exit', resolve))
    child.kill(signal)
    if (signal !== 'SIGKILL') child.kill('SIGCONT')
    let isLate = false
    const killing = setTimeout(() => {
      isLate = true
      child.kill('SIGKILL')
    }, limits.endMs)
    const code = await ended
    clearTimeout(killing)
    if (isLate) throw new Error(`${this.serverName} did not end by ${signal}:\n${this.logTail()}`)
    this.#child = undefined
    return code
  }
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null
}
