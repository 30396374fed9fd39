/**
 * Makes a failure small: leaves out ever smaller groups of the parts of a run, as long as what is left
 * fails in the same way (delta debugging).
 *
 * @module
 */

import type { RunOutcome } from './run.ts'
import type { Scenario } from './scenario.ts'

/** What of an outcome the search looks at. */
export type Failure = Pick<RunOutcome, 'problems' | 'met'>

/**
 * The least scenario that was found in so many runs. What it keeps is a part of what `failure` met, in
 * the same order; leaving out any one part of it ends the failure, unless the runs were used up.
 */
export async function shrink(
  seed: number,
  failure: Failure,
  live: (scenario: Scenario) => Promise<Failure>,
  { runsMax = 1000, onStep }: { runsMax?: number; onStep?: (left: number) => void } = {},
): Promise<Required<Omit<Scenario, 'without'>>> {
  const kinds = new Set(failure.problems.map(kindOf))
  let keeps = failure.met
  let runs = 0
  const fails = async (fewer: readonly string[]): Promise<Failure | undefined> => {
    runs += 1
    const outcome = await live({ seed, keeps: fewer })
    return outcome.problems.some((problem) => kinds.has(kindOf(problem))) ? outcome : undefined
  }
  for (let size = Math.ceil(keeps.length / 2); size >= 1 && runs < runsMax; ) {
    let isLess = false
    for (let start = 0; start < keeps.length && runs < runsMax; ) {
      const fewer = keeps.toSpliced(start, size)
      const again = await fails(fewer)
      if (again === undefined) start += size
      else {
        // What has not come about any more was of no use.
        keeps = fewer.filter((part) => again.met.includes(part))
        isLess = true
        onStep?.(keeps.length)
      }
    }
    if (size > 1) size = Math.ceil(size / 2)
    else if (!isLess) break
  }
  return { seed, showed: failure.problems[0] ?? '', keeps: [...keeps] }
}

/** A problem without what differs from run to run: names of events, rooms, users and servers, and numbers. */
export function kindOf(problem: string): string {
  const [line = ''] = problem.split('\n')
  return line
    .replaceAll(/[$!@][^\s|,:;]*(:[\w.]+(:\d+)?)?/g, '…')
    .replaceAll(/\b\w+\.test(:\d+)?/g, '…')
    .replaceAll(/\d+/g, '0')
}
