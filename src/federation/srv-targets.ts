/**
 * Servers that are found by SRV records: which host and port, in which order.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#resolving-server-names
 *
 * @module
 */

import type { Clock } from '#io/clock.ts'
import type { Dns, SrvRecord } from '#io/dns.ts'
import type { Random } from '#io/random.ts'
import { parseServerName } from '#protocol/identifiers/server-name.ts'
import type { TellStep } from './discovery-steps.ts'
import { type Found, MergedCache } from './merged-cache.ts'

export interface SrvNeeds {
  readonly dns: Dns
  readonly clock: Clock
  readonly random: Random
}

/** A host and a port to connect to. */
export interface SrvTarget {
  readonly hostname: string
  readonly port: number
}

export interface SrvTargets {
  /**
   * The targets of a host in the order in which to try them; none if there are no records. Throws if
   * the look-up fails, for then it is not known whether there are records. `tell` hears what is looked
   * up, unless it is known from before.
   */
  targets(host: string, tell?: TellStep): Promise<readonly SrvTarget[]>
}

/** The domain says that it offers no such service (RFC 2782: a target of "."). */
class ServiceNotOffered extends Error {
  override readonly name = 'ServiceNotOffered'
}

const hostsMax = 10_000
/** How many targets are tried at most. */
const targetsMax = 8
/** Bounds of how long records are believed, whatever their lifetime. */
const shortestMs = 30_000
const longestMs = 24 * 3_600_000

export function createSrvTargets(needs: SrvNeeds): SrvTargets {
  const cache = new MergedCache<readonly SrvRecord[]>(needs.clock, hostsMax)
  return {
    async targets(host, tell) {
      const name = host.toLowerCase()
      const records = await cache.get(name, () => lookUp(needs.dns, name, tell))
      if (records.length === 0) return []
      const usable = records.filter(isUsable)
      if (usable.length === 0)
        throw new ServiceNotOffered(`${name} says that it has no such service`)
      return inOrder(usable, needs.random)
        .slice(0, targetsMax)
        .map(({ target, port }) => ({ hostname: target, port }))
    },
  }
}

async function lookUp(
  dns: Dns,
  host: string,
  tell: TellStep | undefined,
): Promise<Found<readonly SrvRecord[]>> {
  const ask = async (name: string) => {
    const answer = await dns.srv(name)
    tell?.({ step: 'srv', name, records: answer.records })
    return answer
  }
  const current = await ask(`_matrix-fed._tcp.${host}`)
  // [Deprecated] If a `_matrix-fed._tcp` SRV record was not found, `_matrix._tcp` is looked up.
  const answer = current.records.length > 0 ? current : await ask(`_matrix._tcp.${host}`)
  const ttlSeconds = Math.min(answer.ttlSeconds, current.ttlSeconds)
  return {
    value: answer.records,
    holdsMs: Math.min(Math.max(ttlSeconds * 1000, shortestMs), longestMs),
  }
}

/** Whether a record names a host and a port. One of `.` says that there is no such service. */
function isUsable({ target, port }: SrvRecord): boolean {
  return (
    parseServerName(target) !== undefined && !target.includes(':') && port >= 1 && port <= 65_535
  )
}

/** Lower priorities first; among equal ones a draw, in which a larger weight wins more often. */
function inOrder(records: readonly SrvRecord[], random: Random): SrvRecord[] {
  const ordered: SrvRecord[] = []
  const priorities = [...new Set(records.map((record) => record.priority))].sort((a, b) => a - b)
  for (const priority of priorities) {
    const rest = records.filter((record) => record.priority === priority)
    while (rest.length > 0) {
      const [drawn] = rest.splice(draw(rest, random), 1)
      if (drawn !== undefined) ordered.push(drawn)
    }
  }
  return ordered
}

/** The place of one record, drawn by weight. One of weight 0 has a small chance beside others. */
function draw(records: readonly SrvRecord[], random: Random): number {
  const weights = records.map((record) => (record.weight === 0 ? 0.01 : record.weight))
  const sum = weights.reduce((all, weight) => all + weight, 0)
  let left = random.fraction() * sum
  for (const [place, weight] of weights.entries()) {
    left -= weight
    if (left < 0) return place
  }
  return records.length - 1
}
