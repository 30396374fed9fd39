/**
 * Inputs that once showed something wrong: `test/fuzz/regress/<target>/<hash>`. They are run for ever.
 *
 * @module
 */

import { hash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'

const folder = 'test/fuzz/regress'

export interface RegressInput {
  readonly target: string
  readonly file: string
  readonly input: Uint8Array
}

export function regressInputs(): RegressInput[] {
  if (!existsSync(folder)) return []
  return readdirSync(folder).flatMap((target) =>
    readdirSync(`${folder}/${target}`).map((name) => {
      const file = `${folder}/${target}/${name}`
      return { target, file, input: readFileSync(file) }
    }),
  )
}

/** Keeps an input; gives the path of its file. */
export function writeRegressInput(target: string, input: Uint8Array): string {
  mkdirSync(`${folder}/${target}`, { recursive: true })
  const file = `${folder}/${target}/${hash('sha256', input).slice(0, 12)}`
  writeFileSync(file, input)
  return file
}
