/**
 * All that a real server asked of its disk while it worked, and what it had told its users when.
 *
 * @module
 */

import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Call, readCalls, straceTo, traceEnded } from './calls.ts'
import { startPair } from './pair.ts'
import { round } from './workload.ts'

/** What is in the folder of a server before its first start. */
const prepared = ['hansa.yaml', 'ca.crt', 'tls.crt', 'tls.key'] as const

export interface Recording {
  /** Where the server kept its files. */
  readonly folder: string
  /** The calls of all of its processes, in the order in which they ended. */
  readonly calls: readonly Call[]
  /** The room whose events are never removed. */
  readonly roomId: string
  /** The events of that room. */
  readonly eventIds: ReadonlySet<string>
  /** One who has an account from before the first round. */
  readonly accessToken: string
  readonly baseUrl: string
  /** Puts what was there before the first start into a folder, for a server that keeps its files there. */
  prepare(target: string): void
  /** Removes what it keeps on the disk. */
  end(): void
}

/** Lets two servers work for some rounds, from the first start of the one that is watched to its end. */
export async function record(rounds: number): Promise<Recording> {
  const own = mkdtempSync(join(tmpdir(), 'hansa-trace-'))
  const traceOf = (name: string) => join(own, `${name}.trace`)
  const pair = await startPair('sqlite', { launcherOf: (name) => straceTo(traceOf(name)) })
  const folder = join(pair.folder, '0')
  try {
    for (let count = 0; count < rounds; count += 1) await round(pair, `power ${count}`)
    for (const name of prepared) copyFileSync(join(folder, name), join(own, name))
  } finally {
    await pair.end()
  }
  const { alice, roomId, readers } = pair
  return {
    ...{ folder, roomId, accessToken: alice.token, baseUrl: alice.baseUrl },
    calls: await callsOf(['command', 'server'].map(traceOf)),
    eventIds: new Set(readers.flatMap(({ events }) => events.map(({ event_id }) => event_id))),
    prepare: (target) => {
      mkdirSync(target, { recursive: true })
      for (const name of prepared) copyFileSync(join(own, name), join(target, name))
    },
    end: () => rmSync(own, { recursive: true, force: true }),
  }
}

async function callsOf(traces: readonly string[]): Promise<Call[]> {
  const calls: Call[] = []
  for (const trace of traces) {
    await traceEnded(trace)
    for await (const call of readCalls(trace)) if (call.result !== -1) calls.push(call)
  }
  // What ends at one time is in the order of its trace.
  return calls.toSorted((one, other) => one.endS - other.endS)
}

/** What a call tells a user, if it does: events, media that are kept, accounts that were made. */
export function toldBy({ name, path, texts }: Call): string[] {
  if (!/^writev?$/.test(name) || !/^(?:socket|TCP)/.test(path ?? '')) return []
  const text = Buffer.concat(texts as Buffer[]).toString('latin1')
  const named = text.matchAll(/"(?:event_id|content_uri|next_batch)":"([$m][^"\\]+)"/g)
  return [...named].map(([, id = '']) => id)
}
