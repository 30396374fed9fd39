/**
 * The system's hosts file, which comes before the Domain Name System.
 *
 * @module
 */

import { readFile, stat } from 'node:fs/promises'
import { isIP } from 'node:net'

/** How long the file is taken to be unchanged. */
const recheckMs = 5000
/** A longer file (lists of advertisers have tens of thousands of lines) is not kept in memory. */
const bytesMax = 4 * 1024 * 1024

/** Looks names in lower case up in a hosts file, which is read again when it has changed. */
export function hostsFile(
  path: string,
  monotonicMs: () => number,
): (name: string) => Promise<readonly string[]> {
  let names: ReadonlyMap<string, readonly string[]> = new Map()
  let readOf = Number.NaN
  let checkedAtMs = Number.NEGATIVE_INFINITY
  let checking = Promise.resolve()
  const check = async () => {
    const status = await stat(path).catch(() => undefined)
    const modifiedMs = status !== undefined && status.size <= bytesMax ? status.mtimeMs : 0
    if (modifiedMs === readOf) return
    readOf = modifiedMs
    names = parseHosts(modifiedMs === 0 ? '' : await readFile(path, 'utf8').catch(() => ''))
  }
  return async (name) => {
    const nowMs = monotonicMs()
    if (nowMs - checkedAtMs >= recheckMs) {
      checkedAtMs = nowMs
      checking = check()
    }
    await checking
    return names.get(name) ?? []
  }
}

/** The addresses of each name, in lower case. */
export function parseHosts(text: string): Map<string, string[]> {
  const names = new Map<string, string[]>()
  for (const line of text.split('\n')) {
    const [address = '', ...aliases] = (line.split('#', 1)[0] ?? '').trim().split(/\s+/)
    if (isIP(address) === 0) continue
    for (const alias of aliases) {
      const name = alias.toLowerCase()
      const addresses = names.get(name)
      if (addresses === undefined) names.set(name, [address])
      else addresses.push(address)
    }
  }
  return names
}
