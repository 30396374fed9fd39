/**
 * One scenario, once or twice: the same scenario must give the same trace.
 *
 * @module
 */

import { type RunOptions, randomRun } from './random-run.ts'
import type { RunOutcome } from './run.ts'
import type { Scenario } from './scenario.ts'

export interface Task {
  readonly scenario: Scenario
  readonly twice: boolean
}

export async function runTask(
  { scenario, twice }: Task,
  options?: RunOptions,
): Promise<RunOutcome> {
  const outcome = await randomRun(scenario, options)
  if (!twice) return outcome
  const again = await randomRun(scenario)
  if (again.trace === outcome.trace) return outcome
  return { ...outcome, problems: [...outcome.problems, 'two runs of this seed differ'] }
}
