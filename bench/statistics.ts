/**
 * Few numbers that stand for many.
 *
 * @module
 */

export interface Summary {
  readonly median: number
  readonly min: number
  readonly max: number
  readonly count: number
}

export function summaryOf(values: readonly number[]): Summary {
  const median = quantile(values, 0.5)
  return { median, min: Math.min(...values), max: Math.max(...values), count: values.length }
}

/** The value below which this share of the values lies. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}
