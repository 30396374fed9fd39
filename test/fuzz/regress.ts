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

/** Says what an input is, and where it was kept. */
export function inputLines(file: string, input: Uint8Array): string[] {
  const bytes = Buffer.from(input)
  const lines = [`    ${file}: ${JSON.stringify(bytes.toString()).slice(0, 300)}`]
  // Of a machine that is thrown away only the log is left.
  if (process.env.CI) lines.push(`    in Base64: ${bytes.toString('base64')}`)
  return lines
}
