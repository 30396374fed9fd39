/**
 * Coming back: a server with a large store is killed while it works and started again; then its store is
 * examined, and laid out as an older Hansa had it, which the next start brings to its own form.
 *
 * @module
 */

import { spawn } from 'node:child_process'
import { renameSync, rmSync, statSync } from 'node:fs'
import { indexProgress } from '#storage/search-terms.ts'
import { openSqlite } from '#storage/sqlite.ts'
import { waitingCounts } from '#storage/store-check.ts'
import { makeOlderSqlite } from '../../test/older-store.ts'
import { Client, eventually } from '../../test/rig/client.ts'
import { fillRooms } from '../large-store.ts'
import { memoryOf, workedMs } from '../machine.ts'
import type { PeerRoom } from '../peer/peer-room.ts'
import type { PeerServer } from '../peer/peer-server.ts'
import { Push, signTransactions } from '../peer/transactions.ts'
import type { Subject } from '../subject.ts'
import { type Bench, type Sample, untilSeen, type Workload, withPeers } from '../workload.ts'

const main = new URL('../../bin/hansa.js', import.meta.url).pathname
const defaults = { events: 1_000_000, members: 100, rooms: 100, times: 3 } as const
/** How long it works before it is killed, and on how much. */
const load = { transactions: 20, events: 50 } as const
const caughtUpMsMax = 3_600_000
/** The migration that is the most work: it writes all events anew. */
const olderThan = '0054'

export const restart: Workload = {
  name: 'restart',
  about: 'a server with a million events is killed and comes back; Hansa alone, on SQLite',
  run: (bench) => withPeers(bench, 1, ([peer]) => comeBack(bench, peer)),
}

async function comeBack(bench: Bench, peer: PeerServer): Promise<Sample[]> {
  const { subject, sizes, tell } = bench
  const { databaseFile } = subject
  if (subject.kind !== 'hansa' || databaseFile === undefined) return []
  const client = await Client.register(subject.baseUrl, 'reader')
  const events = sizes.events ?? defaults.events
  const rooms = await joinRooms(bench, { client, peer, count: Math.min(defaults.rooms, events) })
  await subject.end()
  await withDatabase(databaseFile, (db) =>
    fillRooms(db, rooms, { events: Math.ceil(events / rooms.length), signer: peer.signer }),
  )
  tell(`restart: the store is filled, ${sizeMiB(databaseFile)} MiB`)
  const first = await restarted(subject)
  const startMs = performance.now()
  await caughtUp(databaseFile)
  const samples: Sample[] = []
  for (let left = sizes.repetitions ?? defaults.times; left > 0; left -= 1) {
    const sample = await killAndRestart(bench, { client, peer })
    tell(`restart: it came back, ${JSON.stringify(sample)}`)
    samples.push(sample)
  }
  await subject.end()
  const indexing = { 'indexed per s': await indexed(databaseFile, performance.now() - startMs) }
  const doctor = await examined(subject.configFile)
  tell(`restart: it was examined, ${JSON.stringify(doctor)}`)
  await layOutAsOlder(databaseFile)
  const olderMiB = sizeMiB(databaseFile)
  tell(`restart: it is laid out as before ${olderThan}, ${olderMiB} MiB`)
  const { tookS, workedS } = await restarted(subject)
  const older = {
    ...{ 'from older s': tookS, 'from older CPU s': workedS, 'older MiB': olderMiB },
  }
  return [{ 'first start s': first.tookS, ...indexing }, ...samples, doctor, older]
}

function sizeMiB(path: string): number {
  return Math.round(statSync(path).size / 2 ** 20)
}

/** How many events were looked through for searching in a second, if that is not done. */
async function indexed(path: string, elapsedMs: number): Promise<number> {
  const { done_nid } = await withDatabase(path, (db) => indexProgress(db))
  return (done_nid / elapsedMs) * 1000
}

async function joinRooms(
  { sizes, version }: Bench,
  { client, peer, count }: { client: Client; peer: PeerServer; count: number },
): Promise<PeerRoom[]> {
  const rooms: PeerRoom[] = []
  for (let index = 0; index < count; index += 1) {
    const room = peer.createRoom(version, sizes.members ?? defaults.members)
    await client.join(room.roomId, [peer.serverName])
    rooms.push(room)
  }
  return rooms
}

async function withDatabase<T>(
  path: string,
  act: (db: Awaited<ReturnType<typeof openSqlite>>) => Promise<T>,
): Promise<T> {
  const db = await openSqlite({ path })
  try {
    return await act(db)
  } finally {
    await db.close()
  }
}

/** Starts it, and gives how long it took until it answered, and how long it has worked until then. */
async function restarted(subject: Subject): Promise<{ tookS: number; workedS: number }> {
  const startMs = performance.now()
  await subject.startAgain()
  const tookS = (performance.now() - startMs) / 1000
  return { tookS, workedS: workedMs(subject.pid) / 1000 }
}

/** Waits until nothing waits to be done but to look events through for searching, which takes long. */
async function caughtUp(path: string): Promise<void> {
  await withDatabase(path, (db) =>
    eventually(
      'all is done',
      async () => Object.values({ ...(await waitingCounts(db)) }).every((count) => count === 0),
      caughtUpMsMax,
    ),
  )
}

/** Kills it while another server pushes events. What was acknowledged is there when it has come back. */
async function killAndRestart(
  { subject, version, authority }: Bench,
  { client, peer }: { client: Client; peer: PeerServer },
): Promise<Sample> {
  const room = peer.createRoom(version)
  await client.join(room.roomId, [peer.serverName])
  await client.sync()
  const pdus = Array.from({ length: load.transactions * load.events }, () => room.addMessage())
  const transactions = signTransactions(peer.signer, subject.serverName, pdus)
  const push = new Push(subject.serverName, authority.cert)
  const half = transactions.slice(0, load.transactions / 2)
  await push.pushAll(half)
  // Nobody waits for the answer of this one.
  const unanswered = push.pushAll(transactions.slice(half.length, half.length + 1)).catch(() => {})
  await subject.end('SIGKILL')
  await unanswered
  const { tookS, workedS } = await restarted(subject)
  const startMs = performance.now()
  await push.pushAll(transactions.slice(half.length))
  await push.close()
  await untilSeen(client, new Set([room.last.event_id]))
  const seenS = (performance.now() - startMs) / 1000
  await caughtUp(subject.databaseFile ?? '')
  return {
    'restart s': tookS,
    'restart CPU s': workedS,
    'seen s': seenS,
    'caught up s': (performance.now() - startMs) / 1000,
  }
}

/** Lets `hansa doctor --store` look at it. Throws if it finds anything. */
async function examined(config: string): Promise<Sample> {
  const startMs = performance.now()
  const args = [main, 'doctor', '--store', '--config', config]
  const child = spawn(process.execPath, args, { stdio: 'ignore' })
  let peakMiB = 0
  const looking = setInterval(() => {
    if (child.pid !== undefined && child.exitCode === null) {
      peakMiB = Math.max(peakMiB, memoryOf(child.pid).peakMiB)
    }
  }, 200)
  const code = await new Promise<number | null>((resolve) => child.once('exit', resolve))
  clearInterval(looking)
  if (code !== 0) throw new Error(`hansa doctor --store ended with ${code}`)
  return { 'doctor s': (performance.now() - startMs) / 1000, 'doctor MiB': peakMiB }
}

async function layOutAsOlder(path: string): Promise<void> {
  const older = `${path}.older`
  await makeOlderSqlite({ newer: path, older, before: olderThan })
  for (const end of ['-wal', '-shm']) rmSync(path + end, { force: true })
  renameSync(older, path)
}
