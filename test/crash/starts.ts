/**
 * Starts that die or fail at a call to the kernel: after a crash, and on a store of an older Hansa.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { copyFileSync, existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { makeOlderSqlite } from '../older-store.ts'
import type { Stage } from './stage.ts'
import {
  type Injection,
  injectionFlag,
  SeenCalls,
  strace,
  type WriteCall,
  writeCalls,
} from './strace.ts'
import { say } from './workload.ts'

/** What there is to be started from, and what must be there afterwards. */
export interface Start {
  readonly name: string
  /** Ends the server and lays its database out. */
  prepare(stage: Stage, tag: string): Promise<() => Promise<void>>
}

async function textsIn({ parts: { alice, roomId } }: Stage): Promise<unknown[]> {
  return (await alice.history(roomId, 1000)).map(
    ({ content, event_id }) => content.body ?? event_id,
  )
}

const recovery: Start = {
  name: 'recovery',
  prepare: async (stage, tag) => {
    const { alice, roomId, process } = stage.parts
    for (const count of [1, 2, 3]) await say(alice, roomId, `${tag} ${count}`)
    const before = await textsIn(stage)
    await process.end('SIGKILL')
    return async () => assert.deepEqual(await textsIn(stage), before)
  },
}

/** The server's own database goes on where it was, in an older form. */
function migration(before: string): Start {
  return {
    name: `from-${before}`,
    prepare: async (stage, tag) => {
      const { alice, roomId, process, folder } = stage.parts
      await say(alice, roomId, tag)
      const texts = await textsIn(stage)
      await process.end()
      const [newer, older] = [join(folder, 'newer.db'), join(folder, 'older.db')]
      for (const path of [newer, older]) removeDatabase(path)
      copyFileSync(stage.database, newer)
      await makeOlderSqlite({ newer, older, before })
      removeDatabase(stage.database)
      copyFileSync(older, stage.database)
      return async () => assert.deepEqual(await textsIn(stage), texts)
    },
  }
}

function removeDatabase(path: string): void {
  for (const end of ['', '-wal', '-shm']) rmSync(path + end, { force: true })
}

export const starts: readonly Start[] = [recovery, migration('0037'), migration('0054')]

/** What came of a start that was watched. */
export interface WatchedStart {
  readonly hasStarted: boolean
  readonly calls: SeenCalls
  readonly failed: string | undefined
}

/** Starts the server with what it asks for its database watched, until it answers or has ended. */
export async function startWatched(
  stage: Stage,
  calls: readonly WriteCall[] = writeCalls,
  injection?: Injection,
): Promise<WatchedStart> {
  const { launcher, process, folder } = stage.parts
  const output = join(folder, 'calls.txt')
  rmSync(output, { force: true })
  const paths = ['', '-wal', '-shm', '-journal'].flatMap((end) => ['-P', stage.database + end])
  const flags = injection === undefined ? [] : [injectionFlag(injection)]
  // The tracer is the server's grandchild, so that the server is still ours.
  launcher.push(strace, '-D', '-f', '-qq', '-y', '-s', '0', '-o', output)
  launcher.push('-e', `trace=${calls.join()}`, ...paths, ...flags)
  let hasStarted = true
  try {
    await process.start()
  } catch {
    hasStarted = false
  } finally {
    launcher.length = 0
  }
  const lines = existsSync(output) ? readFileSync(output, 'utf8') : ''
  // The database is written by one thread; another one only opens it.
  const byThread = Map.groupBy(lines.split('\n'), (line) => /^\d+/.exec(line)?.[0])
  const most = [...byThread.values()].reduce((one, other) =>
    other.length > one.length ? other : one,
  )
  const seen = new SeenCalls(most.join('\n'))
  const failed = /^\d+ +(.*\(INJECTED\))/m.exec(lines)?.[1]
  return { hasStarted, calls: seen, failed }
}
