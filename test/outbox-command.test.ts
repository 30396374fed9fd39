/**
 * `hansa outbox`: what other servers refused is listed with the reason, marked to be sent again, and
 * given up, in the store itself.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { EventId, RoomId, ServerName, UserId } from '../src/protocol/identifiers/ids.ts'
import {
  dueQuarantine,
  quarantineDeviceRow,
  quarantineEvent,
} from '../src/storage/outbox-quarantine.ts'
import { openSqlite } from '../src/storage/sqlite.ts'
import { temporaryFolder } from './databases.ts'

const main = new URL('../bin/hansa.js', import.meta.url).pathname
const [b, c] = ['b.test', 'c.test:8448'] as ServerName[] as [ServerName, ServerName]
/** 2025-01-01 00:00 UTC. */
const now = 1_735_689_600_000

/** A store with two events that one server refused, and a message to devices that another one did. */
async function scene(t: TestContext) {
  const folder = temporaryFolder(t)
  const config = join(folder, 'hansa.yaml')
  writeFileSync(config, `server_name: a.test\ndata_dir: ${folder}\n`)
  const open = () => openSqlite({ path: join(folder, 'hansa.db') })
  const db = await open()
  const event = (stream: number) => ({
    stream,
    sub: 0,
    event_id: `$e${stream}` as EventId,
    room_id: '!r' as RoomId,
    refusals: 0,
  })
  const message = { stream: 9, sub: 1, kind: 'message', user_id: '@u:a.test' as UserId } as const
  await db.write((tx) => {
    quarantineEvent(tx, b, event(7), { reason: 'too \u001b[31mred', now, retryTs: null })
    quarantineEvent(tx, b, event(8), { reason: 'too odd', now, retryTs: now + 600_000 })
    const sent = { ...message, edu_json: '{"secret":1}', refusals: 2 }
    quarantineDeviceRow(tx, c, sent, { reason: 'no such device', now, retryTs: null })
  })
  await db.close()
  const outbox = (...args: string[]) => {
    const all = [main, 'outbox', ...args, '--config', config]
    const { status, stdout, stderr } = spawnSync(process.execPath, all, { encoding: 'utf8' })
    return { status, stdout, stderr }
  }
  const due = async () => {
    const opened = await open()
    const rows = await dueQuarantine(opened, Date.now() + 1, 10)
    await opened.close()
    return rows.map(({ destination, stream }) => `${destination} ${stream}`)
  }
  return { outbox, due }
}

test('what was refused is listed, with the reason', { timeout: 60_000 }, async (t) => {
  const { outbox } = await scene(t)
  const all = outbox('list')
  assert.equal(all.status, 0, all.stderr)
  assert.equal(all.stdout.trimEnd().split('\n').length, 6, all.stdout)
  assert.match(all.stdout, /^b\.test {2}7 {2}\$e7 in !r$/m)
  assert.match(
    all.stdout,
    /refused 1 times, last 2025-01-01 00:00 UTC, not sent again by itself: too/,
  )
  assert.match(all.stdout, /again 2025-01-01 00:10 UTC: too odd/)
  assert.match(all.stdout, /^c\.test:8448 {2}9 {2}a message to devices of @u:a\.test$/m)
  assert.match(all.stdout, /refused 3 times/)
  // Nothing that another server says reaches the terminal as it is, and no message is shown.
  assert.ok(!all.stdout.includes('\u001b') && !all.stdout.includes('secret'))
  const ofOne = JSON.parse(outbox('list', c, '--json').stdout)
  assert.deepEqual(ofOne, {
    items: [
      {
        destination: c,
        stream: 9,
        kind: 'message',
        sender: '@u:a.test',
        reason: 'no such device',
        refused_ts: now,
        refusals: 3,
      },
    ],
  })
  assert.equal(outbox('list', 'd.test').stdout, '')
})

test('what was refused is sent again or given up, one or all of a server', {
  timeout: 60_000,
}, async (t) => {
  const { outbox, due } = await scene(t)
  const one = outbox('retry', b, '--stream', '7')
  assert.deepEqual(
    [one.status, one.stdout],
    [0, '1 is sent again within a minute, or at the next start.\n'],
  )
  assert.deepEqual((await due()).toSorted(), ['b.test 7', 'b.test 8'])
  assert.match(outbox('drop', b, '--stream', '8').stdout, /^1 is given up/)
  assert.deepEqual(await due(), ['b.test 7'])
  assert.match(outbox('retry', c).stdout, /^1 is sent again/)
  assert.match(outbox('drop', b).stdout, /^1 is given up/)
  assert.deepEqual(await due(), ['c.test:8448 9'])
  const wrong: [args: string[], said: RegExp][] = [
    [['drop', b], /b\.test has refused nothing\./],
    [['retry', c, '--stream', '1'], /c\.test:8448 has refused nothing at 1\./],
    [['retry', 'b/c'], /b\/c is no server name\./],
    [['retry', c, '--stream', 'x'], /--stream is a number/],
  ]
  for (const [args, said] of wrong) {
    const { status, stderr } = outbox(...args)
    assert.equal(status, 1, args.join())
    assert.match(stderr, said)
  }
  assert.equal(outbox('drop').status, 2)
})
