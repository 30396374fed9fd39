/**
 * Scenarios that once failed, as files that are run for ever: `regress/`.
 *
 * @module
 */

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import type { Scenario } from './scenario.ts'

const folder = new URL('regress/', import.meta.url)

export function regressScenarios(): Scenario[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .sort()
    .map((name) => readScenario(new URL(name, folder)))
}

export function readScenario(file: URL | string): Scenario {
  return JSON.parse(readFileSync(file, 'utf8'))
}

/** Writes a scenario under the name of its seed, and gives the path of the file. */
export function writeScenario(scenario: Scenario): string {
  mkdirSync(folder, { recursive: true })
  const file = new URL(`${scenario.seed}.json`, folder)
  writeFileSync(file, `${JSON.stringify(scenario, null, 2)}\n`)
  return file.pathname
}
