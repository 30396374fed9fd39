/**
 * `hansa doctor --store` finds what is wrong with a store that nobody uses, and nothing where nothing is.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync, type SQLInputValue } from 'node:sqlite'
import { test } from 'node:test'
import { makeAuthority } from '../src/io/certificates.ts'
import { temporaryFolder } from './databases.ts'
import { Client } from './rig/client.ts'
import { prepareHansa } from './rig/hansa.ts'

const main = new URL('../bin/hansa.js', import.meta.url).pathname

test('the store of a server is examined when it does not run', { timeout: 120_000 }, async (t) => {
  const folder = temporaryFolder(t)
  const authority = await makeAuthority('Doctor', Date.now())
  const hansa = await prepareHansa({ folder, host: '127.0.0.1', authority })
  const config = join(folder, 'hansa.yaml')
  const doctor = () => {
    const args = [main, 'doctor', '--store', '--config', config]
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
    return { status, said: stdout + stderr }
  }
  const nothing = doctor()
  assert.equal(nothing.status, 1)
  assert.match(nothing.said, /no store yet/)

  await hansa.start()
  const { eventId, topicId } = await live(hansa.baseUrl)
  assert.match(doctor().said, /A server uses the store/)
  await hansa.end()
  const sound = doctor()
  assert.equal(sound.status, 0, sound.said)
  assert.match(sound.said, /1 rooms and \d+ events are sound/)
  assert.match(sound.said, /Nothing waits to be done/)

  const db = new DatabaseSync(join(folder, 'hansa.db'))
  t.after(() => db.close())
  const all = (text: string, ...values: SQLInputValue[]) => db.prepare(text).all(...values)
  /** What is said of the store after a change to it, which is undone then. */
  const saidAfter = (change: string, undo: string, ...values: SQLInputValue[]) => {
    db.prepare(change).run(...values)
    const { status, said } = doctor()
    db.exec(undo)
    assert.equal(status, 1, said)
    return said
  }
  const keep = (table: string) => {
    db.exec(`CREATE TABLE kept_${table} AS SELECT * FROM ${table}`)
    return `DELETE FROM ${table}; INSERT INTO ${table} SELECT * FROM kept_${table}`
  }
  const events = keep('events')
  const [row] = all('SELECT bytes FROM events WHERE event_id = ?', eventId) as { bytes: Buffer }[]
  const changed = Buffer.from(String(Buffer.from(row?.bytes ?? '')).replace('hello', 'jello'))
  assert.match(
    saidAfter('UPDATE events SET bytes = ? WHERE event_id = ?', events, changed, eventId),
    new RegExp(`\\${eventId}.* are not those of that event`),
  )
  const ofTopic = 'SELECT state_after FROM events WHERE event_id = ?'
  const gone = saidAfter(
    `DELETE FROM state_versions WHERE version = (${ofTopic})`,
    keep('state_versions'),
    topicId,
  )
  assert.match(gone, new RegExp(`has no state \\d+, to which \\${topicId} refers`))
  assert.match(gone, /The current state of .* cannot be read/)
  assert.match(
    saidAfter("UPDATE rooms SET extremities = '[]'", keep('rooms')),
    /no forward extremity/,
  )
  assert.match(
    saidAfter('UPDATE events SET status = 1 WHERE event_id = ?', events, eventId),
    /as a forward extremity, which is soft_failed/,
  )
  assert.equal(doctor().status, 0)
  rmSync(join(folder, 'media'), { recursive: true })
  assert.match(doctor().said, /The file .* of media is not there/)
})

/** Some life: a room, its topic, a message which is the newest event, a file. */
async function live(baseUrl: string): Promise<{ eventId: string; topicId: string }> {
  const alice = await Client.register(baseUrl, 'alice')
  const roomId = await alice.createRoom({ preset: 'public_chat' })
  const topicId = await alice.setState(roomId, 'm.room.topic', { topic: 'tea' })
  const uploaded = await fetch(`${baseUrl}/_matrix/media/v3/upload`, {
    method: 'POST',
    headers: { authorization: `Bearer ${alice.token}`, 'content-type': 'text/plain' },
    body: 'a file',
  })
  assert.equal(uploaded.status, 200)
  return { topicId, eventId: await alice.send(roomId, 'hello') }
}
