/**
 * A server that cannot start says why, and ends.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'

const main = new URL('../bin/hansa.js', import.meta.url).pathname

test('a port that another program has ends the start', { timeout: 60_000 }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'hansa-'))
  t.after(() => rm(folder, { recursive: true }))
  const other = createServer()
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
  t.after(() => other.close())
  const { port } = other.address() as AddressInfo
  const config = join(folder, 'hansa.yaml')
  await writeFile(
    config,
    `server_name: localhost\ndata_dir: ${folder}\nlisteners: [{host: 127.0.0.1, port: ${port}}]\n`,
  )
  const started = promisify(execFile)(process.execPath, [main, 'start', '--config', config])
  const { code, stderr } = await started.then(
    () => assert.fail('it started'),
    (error: { code: unknown; stderr: unknown }) => error,
  )
  assert.equal(code, 1)
  assert.match(String(stderr), new RegExp(`in use 127.0.0.1:${port}`))
})
