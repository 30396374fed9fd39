/**
 * `npm ci` must work on every system: it refuses a lock file that leaves out an optional package of
 * a dependency, which `npm install` writes where the registry lacks one.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'

interface Entry {
  readonly version?: string
  readonly hasInstallScript?: boolean
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

const lock = JSON.parse(readFileSync('package-lock.json', 'utf8')) as {
  readonly packages: Readonly<Record<string, Entry>>
}
const entries = Object.entries(lock.packages)

test('every optional package of every dependency has an entry', () => {
  const missing = entries.flatMap(([path, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies).filter((name) => !isFoundFrom(path, name)),
  )
  assert.deepEqual(missing, [])
})

test('no package but node runs code when it is installed', () => {
  const running = entries.flatMap(([path, { hasInstallScript }]) => (hasInstallScript ? path : []))
  assert.deepEqual(running, ['node_modules/node'])
})

/** Whether a package is where Node would look for it, from the folder of another. */
function isFoundFrom(path: string, name: string): boolean {
  for (let folder = path; ; folder = folder.slice(0, folder.lastIndexOf('/node_modules/'))) {
    if (`${folder === '' ? '' : `${folder}/`}node_modules/${name}` in lock.packages) return true
    if (!folder.includes('/node_modules/')) return `node_modules/${name}` in lock.packages
  }
}
