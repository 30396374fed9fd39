/**
 * `hansa backup` beside a server that runs, and `hansa restore`: the server starts on what was copied, and
 * knows that it was.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { makeAuthority } from '../src/io/certificates.ts'
import { temporaryFolder } from './databases.ts'
import { Client } from './rig/client.ts'
import { prepareHansa } from './rig/hansa.ts'

const main = new URL('../bin/hansa.js', import.meta.url).pathname

test('a database is copied, put back, and begins anew', { timeout: 120_000 }, async (t) => {
  const folder = temporaryFolder(t)
  const authority = await makeAuthority('Backup', Date.now())
  const hansa = await prepareHansa({ folder, host: '127.0.0.1', authority })
  const hansaDoes = (...words: string[]) => {
    const args = [main, ...words, '--config', join(folder, 'hansa.yaml')]
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
    return { status, said: stdout + stderr }
  }
  const copy = join(folder, 'copy.db')
  await hansa.start()
  const alice = await Client.register(hansa.baseUrl, 'alice')
  const roomId = await alice.createRoom({ name: 'kept' })
  const kept = await alice.send(roomId, 'kept')
  assert.equal(hansaDoes('backup', copy).status, 0)
  assert.match(hansaDoes('backup', copy).said, /is there already/)
  const lost = await alice.send(roomId, 'lost')
  const { next_batch: before } = await alice.call('GET', '/v3/sync')
  assert.match(hansaDoes('restore', copy, '--replace').said, /A server uses the store/)
  // What it had in its log does not get into the copy that takes its place.
  await hansa.end('SIGKILL')
  assert.ok(existsSync(join(folder, 'hansa.db-wal')))

  assert.match(hansaDoes('restore', copy).said, /With --replace it is lost/)
  writeFileSync(join(folder, 'junk.db'), 'no database'.repeat(1000))
  assert.match(hansaDoes('restore', join(folder, 'junk.db'), '--replace').said, /no sound database/)
  assert.match(hansaDoes('restore', join(folder, 'none.db')).said, /There is no file/)
  const put = hansaDoes('restore', copy, '--replace')
  assert.equal(put.status, 0, put.said)
  const rests = readdirSync(folder).filter((name) => /\.new|copy\.db-|copy\.db\.lock/.test(name))
  assert.deepEqual(rests, [])

  await hansa.start()
  assert.match(hansa.logTail(), /the store is a backup that was put back/)
  const events = await alice.history(roomId, 20)
  assert.ok(events.some(({ event_id }) => event_id === kept))
  assert.ok(events.every(({ event_id }) => event_id !== lost))
  const answer = await alice.call('GET', `/v3/sync?since=${before}`)
  assert.deepEqual(Object.keys((answer.rooms as { join: object }).join), [roomId])
  const streamOf = (token: unknown) => Number(String(token).slice(1))
  assert.ok(streamOf(answer.next_batch) > streamOf(before))
  await alice.send(roomId, 'goes on')
  await hansa.end()
  assert.equal(hansaDoes('doctor', '--store').status, 0)

  // It may be put back by other means, too.
  const bases = () => {
    const db = new DatabaseSync(join(folder, 'hansa.db'), { readOnly: true })
    try {
      return db.prepare('SELECT base FROM restorations ORDER BY base').all()
    } finally {
      db.close()
    }
  }
  assert.equal(bases().length, 1)
  assert.equal(hansaDoes('restore').status, 0)
  await hansa.start()
  await hansa.end()
  assert.equal(bases().length, 2)
})
