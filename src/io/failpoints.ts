/**
 * Failpoints: named places at which a process is made to die, to fail or to stand still, so that
 * tests can see what it is like when it starts again. `HANSA_FAILPOINT=name:n:act` asks for one: at the
 * `n`th time at which `name` is reached, the process is killed (`kill`), what is under way there fails
 * (`throw`), or never ends (`hang`). Nothing of this is there in a process that was not asked.
 *
 * The places are not written into the code that passes them. What the program writes and asks goes
 * through few doors: units through a database, files through `Files`, questions through `HttpClient`.
 * These are wrapped, and a place is recognised by what goes through (docs/decisions/0008-failpoints.md).
 *
 * @module
 */

import { writeSync } from 'node:fs'
import type { Files } from './files.ts'
import { type HttpClient, HttpFailure } from './http.ts'

const acts = ['kill', 'throw', 'hang'] as const

/** What is written to the standard error when one acts; tests wait for it. */
const notice = 'failpoint reached: '

export class Failpoint {
  #place = ''
  #act: (typeof acts)[number] = 'kill'
  #left = 0

  /** Without a text there is none yet. */
  constructor(text?: string) {
    if (text !== undefined) this.aim(text)
  }

  /** From now on it is this one. Throws an `Error` with a sentence if `text` is not `name:n:act`. */
  aim(text: string): void {
    const [place = '', count = '', act] = text.split(':')
    const known = acts.find((one) => one === act)
    if (place === '' || !/^[1-9]\d{0,8}$/.test(count) || known === undefined) {
      throw new Error(`HANSA_FAILPOINT is name:n:kill, name:n:throw or name:n:hang, not ${text}`)
    }
    this.#place = place
    this.#left = Number(count)
    this.#act = known
  }

  /**
   * Says that a place is reached. If it is time, it ends the process, or throws what `failure` gives,
   * or gives true: then whoever asked is to wait for ever.
   */
  reach(place: string, failure: () => Error): boolean {
    if (place !== this.#place) return false
    this.#left -= 1
    if (this.#left !== 0) return false
    // Whoever dies next has no other moment to say so.
    writeSync(2, `${notice}${place}\n`)
    if (this.#act === 'kill') process.kill(process.pid, 'SIGKILL')
    if (this.#act === 'throw') throw failure()
    return true
  }

  /** Like `reach`; to wait for ever is to stop the thread. */
  reachInThread(place: string, failure: () => Error): void {
    if (this.reach(place, failure)) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
  }

  /** Does something with a place before it and one after it. */
  async around<T>(name: string, failure: () => Error, act: () => Promise<T>): Promise<T> {
    if (this.reach(`${name}/before`, failure)) return await never()
    const outcome = await act()
    if (this.reach(`${name}/after`, failure)) return await never()
    return outcome
  }
}

export function never(): Promise<never> {
  return new Promise(() => {})
}

/** Files by the ends of their paths. */
const filePlaces: readonly (readonly [name: string, path: RegExp])[] = [
  ['signing-key', /\/signing\.key$/],
  ['authority-file', /\/ca\.(?:crt|key)$/],
  ['certificate-file', /\/tls\.(?:crt|key)$/],
  ['configuration-file', /\.yaml$/],
  ['media-arrival', /\/media\/incoming\/[^/]+$/],
]

/** `file-name/before` and `/after` stand around what makes a file; `media-place` around its renaming. */
export function failingFiles(files: Files, failpoint: Failpoint): Files {
  const around = <T>(path: string, act: () => Promise<T>) => {
    const name = filePlaces.find(([, pattern]) => pattern.test(path))?.[0]
    return name === undefined ? act() : failpoint.around(name, inputOutputError, act)
  }
  return {
    ...files,
    writeText: (path, ...rest) => around(path, () => files.writeText(path, ...rest)),
    writeChunks: (path, chunks) => around(path, () => files.writeChunks(path, chunks)),
    rename: (from, to) =>
      failpoint.around('media-place', inputOutputError, () => files.rename(from, to)),
  }
}

function inputOutputError(): Error {
  return Object.assign(new Error('EIO: a failpoint'), { code: 'EIO' })
}

/** Questions by the paths of their targets. */
const requestPlaces: readonly (readonly [name: string, target: RegExp])[] = [
  ['ask-transaction', /^\/_matrix\/federation\/v1\/send\//],
  ['ask-make-join', /^\/_matrix\/federation\/v1\/make_join\//],
  ['ask-send-join', /^\/_matrix\/federation\/v2\/send_join\//],
  ['ask-state', /^\/_matrix\/federation\/v1\/state(?:_ids)?\//],
  ['ask-history', /^\/_matrix\/federation\/v1\/(?:backfill|get_missing_events)\//],
  ['ask-invite', /^\/_matrix\/federation\/v2\/invite\//],
  ['ask-push-gateway', /^\/_matrix\/push\/v1\/notify/],
]

/** `ask-…/before` is where nothing was sent, `/after` where the answer came and nobody has seen it. */
export function failingHttpClient(client: HttpClient, failpoint: Failpoint): HttpClient {
  return {
    request: (request) => {
      const name = requestPlaces.find(([, pattern]) => pattern.test(request.target))?.[0]
      const act = () => client.request(request)
      return name === undefined ? act() : failpoint.around(name, brokenConnection, act)
    },
    close: () => client.close(),
  }
}

function brokenConnection(): Error {
  return new HttpFailure('broken', 'the connection broke: a failpoint')
}

/** The names of the places in files and questions; each has a `/before` and an `/after`. */
export const outsidePlaces: readonly string[] = [
  ...filePlaces.map(([name]) => name),
  'media-place',
  ...requestPlaces.map(([name]) => name),
]
