/**
 * A disk that runs full, for real: a tmpfs, mounted where that is allowed, holds all of a server's files,
 * and is filled by another program, at once and to the last byte.
 *
 * @module
 */

import { execFileSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { Certificate } from '../../src/io/certificates.ts'
import { ApiError, Client } from '../rig/client.ts'
import { prepareHansa } from '../rig/hansa.ts'
import { pause } from './arena.ts'

const sizeMiB = 64
const reserveMiB = 8

/** What happened, in a few lines. */
export async function fullDisk(folder: string, authority: Certificate): Promise<string> {
  mkdirSync(folder, { recursive: true })
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${sizeMiB}m`, 'tmpfs', folder], {
      stdio: 'ignore',
    })
  } catch {
    return 'disk: left out, since nothing may be mounted here'
  }
  // The server that fills it may still have it open when a signal ends all.
  const unmount = () => execFileSync('umount', ['--lazy', folder])
  process.once('exit', unmount)
  try {
    return await fill(folder, authority)
  } finally {
    process.off('exit', unmount)
    unmount()
  }
}

async function fill(folder: string, authority: Certificate): Promise<string> {
  const hansa = await prepareHansa({
    folder,
    host: '127.0.0.7',
    authority,
    isLimited: true,
    // Else the log is what cannot be written.
    logFile: `${folder}.log`,
    more: `disk_reserve_bytes: ${reserveMiB * 1024 * 1024}`,
  })
  await hansa.start()
  const alice = await Client.register(hansa.baseUrl, 'alice')
  const roomId = await alice.createRoom({})
  const kept = [await alice.send(roomId, 'before')]
  const filler = join(folder, 'filler')
  const lines: string[] = []
  const tell = (what: string, outcomes: readonly string[]) => {
    const counted = [...Map.groupBy(outcomes, (one) => one)].map(
      ([one, of]) => `${one}: ${of.length}`,
    )
    lines.push(`disk, ${what}: ${counted.join(', ')}`)
  }
  const send = async () => {
    try {
      kept.push(await alice.send(roomId, 'while it fills'))
      return '200'
    } catch (error) {
      return error instanceof ApiError ? `${error.status} ${error.errcode}` : 'no answer'
    }
  }
  const several = async () => {
    const outcomes: string[] = []
    for (let times = 0; times < 20; times += 1) {
      outcomes.push(await send())
      await pause(300)
    }
    return outcomes
  }
  // All of it at once: the server has not looked at its disk yet.
  fillUp(filler)
  tell('filled at once', await several())
  const readable = (await alice.history(roomId, 100)).length > 0
  const { next_batch } = await alice.sync()
  lines.push(`disk, reading meanwhile: ${readable && next_batch !== undefined ? 'works' : 'FAILS'}`)
  rmSync(filler)
  const startMs = performance.now()
  let first = await send()
  while (first !== '200' && performance.now() - startMs < 60_000) {
    await pause(200)
    first = await send()
  }
  lines.push(
    `disk, room again: ${first} after ${Math.round((performance.now() - startMs) / 100) / 10} s`,
  )
  const history = new Set((await alice.history(roomId, 1000)).map(({ event_id }) => event_id))
  const lost = kept.filter((eventId) => !history.has(eventId))
  lines.push(
    `disk, events that were answered with 200: ${kept.length}, of which lost: ${lost.length}`,
  )
  lines.push(`disk, the server ${hansa.condition}`)
  await hansa.end()
  return lines.join('\n')
}

function fillUp(path: string): void {
  const file = openSync(path, 'w')
  try {
    for (const size of [1024 * 1024, 4096, 1]) {
      try {
        for (;;) if (writeSync(file, Buffer.alloc(size)) < size) break
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
      }
    }
  } finally {
    closeSync(file)
  }
}
