/**
 * What a run found, as a table for people and as JSON for programs.
 *
 * @module
 */

import type { Machine } from './machine.ts'
import { type Summary, summaryOf } from './statistics.ts'
import type { StoreKind } from './store.ts'
import type { Kind } from './subject.ts'
import { type Measure, measures, type Sample } from './workload.ts'

const databases = { sqlite: 'SQLite', postgres: 'PostgreSQL' } as const

export interface Report {
  readonly date: string
  readonly machine: Machine
  readonly versions: Partial<Record<Kind, string>>
  readonly database: StoreKind
  readonly roomVersion: string
  readonly workloads: readonly WorkloadReport[]
}

export interface WorkloadReport {
  readonly name: string
  readonly about: string
  readonly found: Partial<Record<Kind, Found>>
}

/** By measure, over all repetitions. */
export type Found = Partial<Record<Measure, Summary>>

export function foundIn(samples: readonly Sample[]): Found {
  const names = Object.keys(measures) as Measure[]
  const entries = names.flatMap((measure) => {
    const values = samples.map((sample) => sample[measure]).filter((value) => value !== undefined)
    return values.length === 0 ? [] : [[measure, summaryOf(values)] as const]
  })
  return Object.fromEntries(entries)
}

/** What was found, in a line. */
export function lineOf(found: Found): string {
  const cells = Object.entries(found).map(([measure, summary]) => `${cell(summary)} ${measure}`)
  return cells.join(', ')
}

/** The report in Markdown. */
export function tableOf(report: Report): string {
  const { machine, versions } = report
  const rows = report.workloads.flatMap(rowsOf)
  return [
    `${report.date}, ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, Node ${machine.node}`,
    `${Object.values(versions).join(', ')}, one process each, ${databases[report.database]}, rooms of version ${report.roomVersion}`,
    '',
    ...aligned([['workload', 'measure', 'Hansa', 'Synapse', 'Hansa is better by'], ...rows]),
    '',
    'Medians, with the least and the most of all repetitions where they differ.',
  ].join('\n')
}

function rowsOf({ name, found }: WorkloadReport): string[][] {
  const { hansa = {}, synapse = {} } = found
  const rows: string[][] = []
  for (const measure of Object.keys(measures) as Measure[]) {
    const [ours, theirs] = [hansa[measure], synapse[measure]]
    if (ours === undefined && theirs === undefined) continue
    const title = rows.length === 0 ? name : ''
    rows.push([title, measure, cell(ours), cell(theirs), ratio(measure, ours, theirs)])
  }
  return rows
}

function cell(summary: Summary | undefined): string {
  if (summary === undefined) return ''
  const { median, min, max } = summary
  const [middle, least, most] = [median, min, max].map(rounded)
  return least === most ? `${middle}` : `${middle} (${least}–${most})`
}

/** How many times better we are, by what better means for the measure. */
function ratio(measure: Measure, ours: Summary | undefined, theirs: Summary | undefined): string {
  const better = measures[measure]
  if (better === undefined || !ours || !theirs) return ''
  const times = better === 'more' ? ours.median / theirs.median : theirs.median / ours.median
  return Number.isFinite(times) ? `${rounded(times)} ×` : ''
}

/** Three digits that count. */
function rounded(value: number): string {
  if (value >= 100) return Math.round(value).toLocaleString('en')
  return String(Number(value.toPrecision(3)))
}

function aligned(rows: readonly (readonly string[])[]): string[] {
  const [head = []] = rows
  const widths = head.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  const line = (row: readonly string[]) =>
    `| ${row.map((text, column) => text.padEnd(widths[column] ?? 0)).join(' | ')} |`
  const rule = `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`
  return [line(head), rule, ...rows.slice(1).map(line)]
}
