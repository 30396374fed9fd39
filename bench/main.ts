/**
 * `npm run bench`: what Hansa does in a second, and beside it a Synapse in the same run. Both are
 * whole servers in processes of their own, spoken to over HTTP and TLS as by their clients and peers,
 * one after the other on the same machine. README.md says what each workload is.
 *
 * @module
 */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Certificate, makeAuthority } from '#io/certificates.ts'
import { memoryOf, thisMachine } from './machine.ts'
import { type Options, readOptions } from './options.ts'
import { foundIn, lineOf, type Report, tableOf, type WorkloadReport } from './report.ts'
import { type Kind, Subject, versionOf } from './subject.ts'
import type { Sample, Workload } from './workload.ts'

export async function run(options: Options): Promise<Report> {
  const authority = await makeAuthority('Bench', Date.now())
  const starts = new Map<Kind, Sample[]>()
  const workloads: WorkloadReport[] = []
  for (const workload of options.workloads) {
    const found: WorkloadReport['found'] = {}
    for (const kind of options.kinds) {
      const { start, samples } = await runOn(kind, workload, { ...options, authority })
      starts.getOrInsertComputed(kind, () => []).push(start)
      found[kind] = foundIn(samples)
    }
    workloads.push({ name: workload.name, about: workload.about, found })
  }
  const started = options.kinds.map((kind) => [kind, foundIn(starts.get(kind) ?? [])] as const)
  const about = 'a server that starts with an empty database'
  return {
    date: new Date().toISOString(),
    machine: thisMachine(),
    versions: Object.fromEntries(options.kinds.map((kind) => [kind, versionOf(kind)])),
    database: options.database,
    roomVersion: options.version.id,
    workloads: [{ name: 'start', about, found: Object.fromEntries(started) }, ...workloads],
  }
}

/** A workload on a server that is started for it. */
async function runOn(
  kind: Kind,
  workload: Workload,
  options: Options & { readonly authority: Certificate },
): Promise<{ start: Sample; samples: Sample[] }> {
  const folder = mkdtempSync(join(tmpdir(), 'hansa-bench-'))
  const startMs = performance.now()
  const { asksHeap } = workload
  const subject = await Subject.start(kind, { ...options, folder, asksHeap })
  try {
    const startS = (performance.now() - startMs) / 1000
    await sleep(options.idleMs)
    const start = { 'start s': startS, 'idle MiB': memoryOf(subject.pid).nowMiB }
    const samples = await workload.run({ ...options, subject })
    const { nowMiB, peakMiB } = memoryOf(subject.pid)
    options.tell(`${workload.name} on ${kind}: ${lineOf(foundIn(samples))}`)
    return { start, samples: [...samples, { 'MiB after': nowMiB, 'peak MiB': peakMiB }] }
  } catch (cause) {
    const message = `${workload.name} on ${kind} failed; its log ends with:\n${subject.logTail()}`
    throw new Error(message, { cause })
  } finally {
    await subject.end()
    rmSync(folder, { recursive: true, force: true })
  }
}

if (import.meta.main) {
  const options = readOptions(process.argv.slice(2))
  const report = await run(options)
  mkdirSync(dirname(options.json), { recursive: true })
  writeFileSync(options.json, `${JSON.stringify(report, undefined, 2)}\n`)
  console.log(`${tableOf(report)}\n\nAll figures are in ${options.json}.`)
}
