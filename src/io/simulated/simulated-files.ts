/**
 * Files in memory. What was written is durable: it outlives a crash of its server.
 *
 * @module
 */

import type { Files } from '../files.ts'

export function simulatedFiles(): Files {
  const files = new Map<string, { text: string; mode: number }>()
  return {
    readText: async (path) => files.get(path)?.text,
    writeText: async (path, text, options = {}) => {
      files.set(path, { text, mode: options.mode ?? 0o644 })
    },
    makeFolder: async () => {},
    mode: async (path) => files.get(path)?.mode,
  }
}
