/**
 * Files in memory. What was written is durable: it outlives a crash of its server.
 *
 * @module
 */

import type { Files } from '../files.ts'

interface SimulatedFile {
  readonly bytes: Uint8Array
  readonly mode: number
}

export function simulatedFiles(): Files {
  const files = new Map<string, SimulatedFile>()
  return {
    readText: async (path) => {
      const file = files.get(path)
      return file && Buffer.from(file.bytes).toString()
    },
    writeText: async (path, text, options = {}) => {
      files.set(path, { bytes: Buffer.from(text), mode: options.mode ?? 0o644 })
    },
    open: async (path) => {
      const file = files.get(path)
      return file && { bytes: file.bytes.length, chunks: oneChunk(file.bytes) }
    },
    writeChunks: async (path, chunks) => {
      const pieces: Uint8Array[] = []
      for await (const chunk of chunks) pieces.push(chunk)
      files.set(path, { bytes: Buffer.concat(pieces), mode: 0o644 })
    },
    rename: async (from, to) => {
      const file = files.get(from)
      if (file === undefined) throw new Error(`there is no file ${from}`)
      files.delete(from)
      files.set(to, file)
    },
    remove: async (path) => {
      for (const name of files.keys()) {
        if (name === path || name.startsWith(`${path}/`)) files.delete(name)
      }
    },
    makeFolder: async () => {},
    mode: async (path) => files.get(path)?.mode,
  }
}

async function* oneChunk(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}
