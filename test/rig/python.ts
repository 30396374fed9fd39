/**
 * The Python that has Synapse, signedjson and canonicaljson: `HANSA_PYTHON`, or the virtual
 * environment that `test/rig/install-python.sh` makes.
 *
 * @module
 */

import { existsSync } from 'node:fs'

const inTheProject = new URL('../../.cache/python/bin/python', import.meta.url).pathname

/** Its path, or `undefined` where there is none. Under CI there must be one. */
export function findPython(): string | undefined {
  const given = process.env.HANSA_PYTHON
  if (given) return given
  if (existsSync(inTheProject)) return inTheProject
  if (process.env.CI === 'true') throw new Error('CI needs test/rig/install-python.sh to have run')
  return undefined
}
