/**
 * A user's account and sessions, through changes at random: after each of them, every password and
 * every token there has ever been is tried, and a model says what must come of it. In the end, none
 * of them is in the database.
 *
 * The model knows passwords, devices and pairs of tokens as the spec describes them, and nothing of how
 * they are kept.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type SeededRandom, seededRandom } from '../src/io/simulated/simulated-random.ts'
import type { UserId } from '../src/protocol/identifiers/ids.ts'
import { type Answered, clientScene, type Scene } from './contract/client-scene.ts'
import { rowsOf } from './ingress/cells.ts'

/** An access token, and the refresh token it came with if any. */
interface Pair {
  readonly access: string
  readonly refresh: string | undefined
  readonly deviceId: string
  readonly endMs: number
  /** The pair whose refresh token it was given for, until it is used. */
  replaces: Pair | undefined
}

/** What the account is, by the spec. */
class Model {
  password = 'password 0'
  isClosed = false
  isLocked = false
  isSuspended = false
  /** Those that are good, but for the state of the account. */
  readonly pairs = new Set<Pair>()

  /** Ends what a pair replaced: it was used. */
  use(pair: Pair): void {
    if (pair.replaces !== undefined) this.pairs.delete(pair.replaces)
    pair.replaces = undefined
  }

  /** What came of a refresh token is given up for what comes of it now. */
  refresh(pair: Pair, next: Pair): void {
    this.use(pair)
    for (const other of this.pairs) if (other.replaces === pair) this.pairs.delete(other)
    next.replaces = pair
    this.pairs.add(next)
  }

  endDevices(isOver: (deviceId: string) => boolean): void {
    for (const pair of this.pairs) if (isOver(pair.deviceId)) this.pairs.delete(pair)
  }
}

const v3 = '/_matrix/client/v3'
const encode = encodeURIComponent

class Run {
  readonly scene: Scene
  readonly random: SeededRandom
  readonly model = new Model()
  readonly userId = '@subject:alpha.test:8448' as UserId
  readonly passwords = ['password 0']
  /** All there have ever been. */
  readonly pairs: Pair[] = []
  readonly done: string[] = []

  constructor(scene: Scene, random: SeededRandom) {
    this.scene = scene
    this.random = random
  }

  get nowMs(): number {
    return this.scene.world.time.elapsedMs
  }

  async login(password: string, deviceId: string, refreshable = true): Promise<Answered> {
    const identifier = { type: 'm.id.user', user: 'subject' }
    const body = { type: 'm.login.password', identifier, password, device_id: deviceId }
    const answer = await this.scene.ask(`POST ${v3}/login`, {
      body: { ...body, refresh_token: refreshable },
    })
    const { model } = this
    const isRight = password === model.password
    const expected = model.isClosed
      ? '403 M_USER_DEACTIVATED'
      : !isRight
        ? '403 M_FORBIDDEN'
        : model.isLocked
          ? '401 M_USER_LOCKED'
          : '200 undefined'
    assert.equal(outcome(answer), expected, this.told(`a login with ${password}`))
    if (answer.status !== 200) return answer
    // The device has new tokens, and no others.
    model.endDevices((one) => one === deviceId)
    model.pairs.add(this.pairOf(answer, deviceId))
    return answer
  }

  pairOf({ body }: Answered, deviceId: string): Pair {
    const lifeMs = typeof body.expires_in_ms === 'number' ? body.expires_in_ms : Infinity
    const refresh = typeof body.refresh_token === 'string' ? body.refresh_token : undefined
    const pair: Pair = {
      access: String(body.access_token),
      refresh,
      deviceId,
      endMs: this.nowMs + lifeMs,
      replaces: undefined,
    }
    this.pairs.push(pair)
    return pair
  }

  async tryAccess(pair: Pair): Promise<void> {
    const { model } = this
    const isThere = model.pairs.has(pair) && !model.isClosed
    if (isThere) model.use(pair)
    const isOver = isThere && this.nowMs > pair.endMs
    const answer = await this.scene.ask(`GET ${v3}/account/whoami`, { token: pair.access })
    const expected =
      !isThere || isOver
        ? '401 M_UNKNOWN_TOKEN'
        : model.isLocked
          ? '401 M_USER_LOCKED'
          : '200 undefined'
    assert.equal(outcome(answer), expected, this.told(`the token of ${pair.deviceId}`))
    // Whoever may come back is told so, and nobody else.
    const isSoft = isOver || (isThere && model.isLocked)
    assert.equal(answer.body.soft_logout, isSoft || undefined, this.told('soft_logout'))
    if (answer.status !== 200) return
    assert.equal(answer.body.device_id, pair.deviceId)
    const named = await this.scene.ask(`PUT ${v3}/profile/${encode(this.userId)}/displayname`, {
      token: pair.access,
      body: { displayname: 'x' },
    })
    const expectedOfName = model.isSuspended ? '403 M_USER_SUSPENDED' : '200 undefined'
    assert.equal(outcome(named), expectedOfName, this.told('a name'))
  }

  async tryRefresh(pair: Pair): Promise<void> {
    if (pair.refresh === undefined) return
    const { model } = this
    const isThere = model.pairs.has(pair) && !model.isClosed
    const body = { refresh_token: pair.refresh }
    const answer = await this.scene.ask(`POST ${v3}/refresh`, { body })
    const expected = !isThere
      ? '401 M_UNKNOWN_TOKEN'
      : model.isLocked
        ? '401 M_USER_LOCKED'
        : '200 undefined'
    assert.equal(outcome(answer), expected, this.told(`the refresh token of ${pair.deviceId}`))
    if (answer.status === 200) model.refresh(pair, this.pairOf(answer, pair.deviceId))
  }

  /** A pair whose access token is good now, if any. */
  good(): Pair | undefined {
    const { isClosed, isLocked, pairs } = this.model
    if (isClosed || isLocked) return undefined
    return [...pairs].find(({ endMs }) => endMs > this.nowMs)
  }

  /** What is asked as the user, with the password once more where it is needed. */
  async asUser(request: string, body: object = {}): Promise<boolean> {
    const pair = this.good()
    if (pair === undefined) return false
    this.model.use(pair)
    const auth = { type: 'm.login.password', password: this.model.password }
    const answer = await this.scene.ask(request, { token: pair.access, body: { ...body, auth } })
    assert.equal(answer.status, 200, this.told(request))
    return true
  }

  async moderate(what: 'lock' | 'suspend', is: boolean): Promise<void> {
    const { admin } = this.scene
    const answer = await this.scene.ask(
      `PUT /_matrix/client/v1/admin/${what}/${encode(this.userId)}`,
      { token: admin.token, body: { [`${what}ed`]: is } },
    )
    const expected = this.model.isClosed ? '404 M_NOT_FOUND' : '200 undefined'
    assert.equal(outcome(answer), expected, this.told(`${what} ${is}`))
  }

  told(what: string): string {
    return `${what}, after ${this.done.join(', ')}`
  }
}

function outcome({ status, body }: Answered): string {
  return `${status} ${body.errcode}`
}

/** With a token that is good, more often than with one that was once. */
async function refreshAny(run: Run): Promise<void> {
  const good = [...run.model.pairs].filter(({ refresh }) => refresh !== undefined)
  const from = good.length > 0 && run.random.happens(0.8) ? good : run.pairs
  await run.tryRefresh(run.random.pick(from))
}

const changes: Readonly<Record<string, (run: Run) => Promise<void>>> = {
  'a login': async (run) => {
    await run.login(run.model.password, run.random.pick(['A', 'B', 'C']), run.random.happens(0.7))
  },
  'a refresh': refreshAny,
  'another refresh': refreshAny,
  'a third refresh': refreshAny,
  'a lock': async (run) => {
    await run.moderate('lock', true)
    run.model.isLocked = true
  },
  'no lock': async (run) => {
    await run.moderate('lock', false)
    run.model.isLocked = false
  },
  'a suspension': async (run) => {
    await run.moderate('suspend', true)
    run.model.isSuspended = true
  },
  'no suspension': async (run) => {
    await run.moderate('suspend', false)
    run.model.isSuspended = false
  },
  'half an hour': async (run) => await run.scene.world.time.run(1_800_001),
  'a new password': async (run) => {
    const next = `password ${run.passwords.length}`
    const isTold = run.random.happens(0.5)
    const pair = run.good()
    const body = { new_password: next, ...(isTold && { logout_devices: false }) }
    if (!(await run.asUser(`POST ${v3}/account/password`, body))) return
    run.model.password = next
    run.passwords.push(next)
    if (!isTold) run.model.endDevices((deviceId) => deviceId !== pair?.deviceId)
  },
  'a logout': async (run) => {
    const pair = run.good()
    if (await run.asUser(`POST ${v3}/logout`)) run.model.endDevices((one) => one === pair?.deviceId)
  },
  'a logout everywhere': async (run) => {
    if (await run.asUser(`POST ${v3}/logout/all`)) run.model.endDevices(() => true)
  },
  'device B deleted': async (run) => {
    if (await run.asUser(`DELETE ${v3}/devices/B`)) run.model.endDevices((one) => one === 'B')
  },
  'a restart': async ({ scene: { server, world } }) => {
    server.crash()
    await world.time.await(server.start())
  },
  'the end of the account': async (run) => {
    const erase = run.random.happens(0.5)
    if (!(await run.asUser(`POST ${v3}/account/deactivate`, { erase }))) return
    run.model.isClosed = true
  },
}

const stepsMax = 30

/** Tries passwords and tokens, each with this chance: what is tried changes what others are good for. */
async function tryAll(run: Run, chance: number): Promise<void> {
  const { random } = run
  for (const password of run.passwords) {
    if (random.happens(chance)) await run.login(password, 'CHECK', false)
  }
  const first = random.below(run.pairs.length)
  for (const pair of [...run.pairs.slice(first), ...run.pairs.slice(0, first)]) {
    if (random.happens(chance)) await run.tryAccess(pair)
  }
}

test('through any changes, an account is of use to whom the spec says', async (t) => {
  const counts = new Map<string, number>()
  for (let seed = 1; seed <= 12; seed += 1) {
    const random = seededRandom(seed)
    const scene = await clientScene(t)
    const run = new Run(scene, random)
    const { users } = scene.server.running.server
    await scene.world.time.await(
      users.accounts.register({ username: 'subject', password: 'password 0' }),
    )
    for (let step = 0; step <= stepsMax; step += 1) {
      // The account ends late, if at all.
      const names = Object.keys(changes).filter((name) => step > 15 || !name.startsWith('the end'))
      const name = step === 0 ? 'a login' : random.pick(names)
      run.done.push(name)
      await changes[name]?.(run)
      counts.set(name, (counts.get(name) ?? 0) + 1)
      await tryAll(run, step === stepsMax ? 1 : 0.2)
    }
    const rows = await rowsOf(scene.server.running.server.db)
    for (const secret of [
      ...run.passwords,
      ...run.pairs.flatMap(({ access, refresh }) => [access, ...(refresh ? [refresh] : [])]),
    ]) {
      for (const [table, text] of rows) assert.ok(!text.includes(secret), `${table} has ${secret}`)
    }
  }
  for (const name of Object.keys(changes)) assert.ok((counts.get(name) ?? 0) >= 5, name)
})
