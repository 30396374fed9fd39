/**
 * The file system.
 *
 * @module
 */

import { createReadStream } from 'node:fs'
import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { Files } from './files.ts'
import { Turns } from './turns.ts'

/** What `read` gives, or `undefined` if there is no such file. */
async function unlessMissing<T>(read: Promise<T>): Promise<T | undefined> {
  try {
    return await read
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

/** Makes names durable that were given or taken in a folder. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

const turns = new Turns('folders')

/** Makes a folder, and those above that are not there, durably. */
async function makeFolder(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true })
  if (first === undefined) return
  const top = dirname(resolve(first))
  for (let above = dirname(resolve(path)); ; above = dirname(above)) {
    await syncFolder(above)
    if (above.length <= top.length) return
  }
}

async function* readChunks(path: string): AsyncGenerator<Uint8Array> {
  yield* createReadStream(path, { highWaterMark: 65_536 })
}

export const realFiles: Files = {
  readText: (path) => unlessMissing(readFile(path, 'utf8')),

  writeText: async (path, text, options = {}) => {
    const temporary = `${path}.new`
    const file = await open(temporary, 'w', options.mode ?? 0o644)
    try {
      await file.chmod(options.mode ?? 0o644)
      await file.writeFile(text)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
    await syncFolder(dirname(path))
  },

  open: async (path) => {
    const status = await unlessMissing(stat(path))
    return status && { bytes: status.size, chunks: readChunks(path) }
  },

  writeChunks: async (path, chunks) => {
    const file = await open(path, 'wx')
    try {
      for await (const chunk of chunks) await file.writeFile(chunk)
      await file.sync()
      await file.close()
    } catch (error) {
      await file.close()
      await rm(path, { force: true })
      throw error
    }
  },

  rename: async (from, to) => {
    await rename(from, to)
    await syncFolder(dirname(to))
  },

  remove: async (path) => {
    await rm(path, { recursive: true, force: true })
    await unlessMissing(syncFolder(dirname(path)))
  },

  // Whoever finds a folder that another one is making waits until that is durable.
  makeFolder: (path) => turns.run('', () => makeFolder(path)),

  mode: async (path) => {
    const status = await unlessMissing(stat(path))
    return status === undefined ? undefined : status.mode & 0o777
  },
}
