/**
 * How the program starts and ends: one that cannot start says why; one that npm runs ends with it.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { freePort } from './rig/processes.ts'

const main = new URL('../bin/hansa.js', import.meta.url).pathname

/** The path of a configuration for a server at this port of loopback. */
async function configurationFor(t: TestContext, port: number): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'hansa-'))
  t.after(() => rm(folder, { recursive: true }))
  const path = join(folder, 'hansa.yaml')
  const listeners = `[{host: 127.0.0.1, port: ${port}}]`
  await writeFile(path, `server_name: localhost\ndata_dir: ${folder}\nlisteners: ${listeners}\n`)
  return path
}

test('a port that another program has ends the start', { timeout: 60_000 }, async (t) => {
  const other = createServer()
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
  t.after(() => other.close())
  const { port } = other.address() as AddressInfo
  const config = await configurationFor(t, port)
  const started = promisify(execFile)(process.execPath, [main, 'start', '--config', config])
  const { code, stderr } = await started.then(
    () => assert.fail('it started'),
    (error: { code: unknown; stderr: unknown }) => error,
  )
  assert.equal(code, 1)
  assert.match(String(stderr), new RegExp(`in use 127.0.0.1:${port}`))
})

// npm tells what it has started, and only that: a shell would die of it and leave the server alone,
// with the port and the lock of its database. Ctrl-C goes to npm and to the server, and npm passes its
// own on, so the server hears of it twice.
const ends: readonly (readonly [string, NodeJS.Signals, (npm: number) => number])[] = [
  ['SIGTERM to npm', 'SIGTERM', (npm) => npm],
  ['SIGINT to npm', 'SIGINT', (npm) => npm],
  ['Ctrl-C in a terminal', 'SIGINT', (npm) => -npm],
]
for (const [name, signal, target] of ends) {
  test(`${name} ends the server in order`, { timeout: 60_000 }, async (t) => {
    const port = await freePort('127.0.0.1')
    const config = await configurationFor(t, port)
    const npm = spawn('npm', ['start', '--', '--config', config], { detached: true })
    const { pid } = npm
    assert.ok(pid !== undefined)
    t.after(() => killGroup(pid))
    const ended = new Promise((resolve) => npm.once('close', resolve))
    let said = ''
    npm.stdout.on('data', (piece) => {
      const before = said
      said += String(piece)
      const serves = (text: string) => text.includes('Make the first user')
      if (serves(said) && !serves(before)) process.kill(target(pid), signal)
    })
    await ended
    assert.match(said, /"msg":"ended"/)
    await assert.rejects(fetch(`http://127.0.0.1:${port}/_matrix/client/versions`))
  })
}

/** Ends whatever is left of what npm started. */
function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'ESRCH')
  }
}
