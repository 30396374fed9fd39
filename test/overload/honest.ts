/**
 * The honest traffic, as a process of its own, so that it is not late because an attacker is busy: a user
 * sends messages, another server sends events, and both are looked for in the user's sync.
 *
 * @module
 */

import assert from 'node:assert/strict'
import type { Certificate } from '../../src/io/certificates.ts'
import type { ServerName } from '../../src/protocol/identifiers/ids.ts'
import { roomVersions } from '../../src/protocol/room-version.ts'
import { Client } from '../rig/client.ts'
import { playServer } from './played-server.ts'

export interface HonestStart {
  readonly baseUrl: string
  readonly serverName: ServerName
  readonly authority: Certificate
  readonly host: string
  readonly username: string
}

/** How long things took since this was last asked for, in milliseconds, and what failed. */
export interface HonestReport {
  /** From sending a message to the answer. */
  readonly sends: readonly number[]
  /** From another server's transaction to the event in a sync. */
  readonly arrivals: readonly number[]
  readonly failures: readonly string[]
}

/** A user may send five messages a second for long. So many events come that 99 of 100 can be told. */
const pauses = { sendMs: 250, transactionMs: 50 }
const sendersCount = 3
/** What has not come after this time is counted so. */
const lostMs = 20_000

async function play({ baseUrl, serverName, authority, host, username }: HonestStart) {
  const { peer } = await playServer(authority, host)
  const alice = await Client.register(baseUrl, username)
  const version = roomVersions.get('11') ?? assert.fail()
  const room = peer.createRoom(version, { tag: `honest-${username}` })
  await alice.join(room.roomId, [peer.name])
  const others = Array.from({ length: sendersCount - 1 }, (_, at) =>
    Client.register(baseUrl, `${username}${at}`),
  )
  let report = { sends: [] as number[], arrivals: [] as number[], failures: [] as string[] }
  /** Since when events are looked for, by what they say. */
  const waiting = new Map<string, number>()
  let said = 0
  const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
  const repeat = async (what: string, pauseMs: number, act: () => Promise<void>) => {
    for (;;) {
      try {
        await act()
      } catch (error) {
        report.failures.push(`${what}: ${String(error).slice(0, 120)}`)
      }
      await pause(pauseMs)
    }
  }
  const timed = async (into: 'sends', act: () => Promise<unknown>) => {
    const startMs = performance.now()
    await act()
    report[into].push(performance.now() - startMs)
  }
  await alice.sync()
  void repeat('sync', 0, async () => {
    const answer = await alice.sync(10_000)
    const join = (answer.rooms as { join?: Record<string, SyncedRoom> } | undefined)?.join ?? {}
    const events = Object.values(join).flatMap((synced) => synced.timeline?.events ?? [])
    for (const { body = '' } of events.map(({ content }) => content)) {
      const sinceMs = waiting.get(body)
      if (sinceMs === undefined) continue
      waiting.delete(body)
      report.arrivals.push(performance.now() - sinceMs)
    }
  })
  for (const user of [alice, ...(await Promise.all(others))]) {
    const own = await user.createRoom({ preset: 'public_chat' })
    void repeat('send', pauses.sendMs, () => timed('sends', () => user.send(own, 'hello')))
  }
  void repeat('transaction', pauses.transactionMs, async () => {
    said += 1
    const body = `hi ${said}`
    const pdu = room.add(room.draft(peer.user('u'), 'm.room.message', { body }))
    waiting.set(body, performance.now())
    const { status } = await peer.transaction(serverName, { pdus: [pdu] })
    // A server that is told to wait sends the event again.
    for (let tries = 0; status !== 200 && tries < 5; tries += 1) {
      await pause(1000)
      if ((await peer.transaction(serverName, { pdus: [pdu] })).status === 200) break
    }
    const overdue = [...waiting].filter(([, sinceMs]) => performance.now() - sinceMs > lostMs)
    for (const [one] of overdue) {
      waiting.delete(one)
      report.arrivals.push(lostMs)
      report.failures.push(`'${one}' did not come`)
    }
  })
  return () => {
    const told = report
    report = { sends: [], arrivals: [], failures: [] }
    return told
  }
}

interface SyncedRoom {
  readonly timeline?: { readonly events?: readonly { readonly content: { body?: string } }[] }
}

let take: (() => HonestReport) | undefined

// Without who started it, it has nobody to report to.
process.once('disconnect', () => process.exit())
process.on('message', (message: HonestStart | 'report') => {
  if (message === 'report') process.send?.(take?.())
  else void begin(message)
})

async function begin(start: HonestStart): Promise<void> {
  take = await play(start)
  process.send?.('ready')
}
