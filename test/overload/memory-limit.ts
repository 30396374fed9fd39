/**
 * Gives a server as much memory as a container would: what it uses beyond that the kernel takes back, as
 * pages of files, or else ends it. What of files is in memory counts as well, as it does there.
 *
 * @module
 */

import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const mib = 1024 ** 2
const root = '/sys/fs/cgroup'
const hierarchies = [
  { path: join(root, 'memory'), mark: 'memory.limit_in_bytes', limit: 'memory.limit_in_bytes' },
  { path: root, mark: 'cgroup.subtree_control', limit: 'memory.max' },
] as const

export interface MemoryLimit {
  /** What starts the server, as words before its command. */
  readonly launcher: readonly string[]
  /** The most that was used at once, in MiB, files included. */
  readonly mostMiB: () => number
  /** Lets go of the limit, when the server has ended. */
  readonly release: () => void
}

/** A limit in MiB for one process and its children; only root may set one. */
export function memoryLimit(limitMiB: number): MemoryLimit {
  const hierarchy = hierarchies.find(({ path, mark }) => existsSync(join(path, mark)))
  if (hierarchy === undefined) throw new Error('no hierarchy of cgroups limits memory here')
  const group = join(hierarchy.path, `hansa-overload-${process.pid}`)
  mkdirSync(group, { recursive: true })
  writeFileSync(join(group, hierarchy.limit), String(limitMiB * mib))
  const peak = ['memory.max_usage_in_bytes', 'memory.peak'].find((name) =>
    existsSync(join(group, name)),
  )
  return {
    launcher: ['sh', '-c', `echo $$ > ${join(group, 'cgroup.procs')} && exec "$@"`, 'sh'],
    mostMiB: () =>
      peak === undefined ? Number.NaN : Number(readFileSync(join(group, peak), 'utf8')) / mib,
    release: () => rmdirSync(group),
  }
}
