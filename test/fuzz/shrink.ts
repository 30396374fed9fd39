/**
 * Makes an input small that shows something wrong, as long as it shows the same.
 *
 * @module
 */

import { type Judges, judge } from './judge.ts'
import type { Target } from './target.ts'

/** How often a target is run for that at most, and for how long. */
const runsMax = 5000
const msMax = 20_000

export async function shrink(
  target: Target,
  { input, kind, ...judges }: Judges & { readonly input: Uint8Array; readonly kind: string },
): Promise<Uint8Array> {
  const started = performance.now()
  let runs = 0
  const shows = async (candidate: Uint8Array) => {
    runs += 1
    return (await judge(target, candidate, judges))?.kind === kind
  }
  const mayGoOn = () => runs < runsMax && performance.now() - started < msMax
  let smallest = input
  for (let size = ceilPower(input.length); size >= 1 && mayGoOn(); size = size >> 1) {
    for (let at = 0; at < smallest.length && mayGoOn(); ) {
      const without = Buffer.concat([smallest.subarray(0, at), smallest.subarray(at + size)])
      if (await shows(without)) smallest = without
      else at += size
    }
  }
  return smallest
}

function ceilPower(length: number): number {
  return 2 ** Math.floor(Math.log2(Math.max(1, length)))
}
