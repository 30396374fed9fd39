import assert from 'node:assert/strict'
import { test } from 'node:test'
import { adminAsker } from '../../test/admin-ask.ts'
import { openSender, them } from '../../test/sender-world.ts'
import { outboxQuarantineRoutes } from './outbox-quarantine.ts'
import { refusedEventsRoute } from './refused-events.ts'

test('what servers refused is listed page by page, sent again and dropped', async () => {
  const { time, queue, sender, world, sent } = await openSender(({ pdus }) =>
    pdus.some((id) => id.startsWith('$bad')) ? [413, '{"errcode":"M_TOO_LARGE"}'] : 200,
  )
  await queue(['$good', '$bad1', '$bad2'], { room: '!r:here.test' })
  await time.run(60_000)
  const outboxQuarantine = sender.quarantine
  const ask = adminAsker(outboxQuarantineRoutes, { outboxQuarantine })
  const first = await ask('GET', 'outbox_quarantine?limit=1')
  const [item] = first.body.items
  const { refused_ts: refusedTs, reason, ...rest } = item
  assert.ok(refusedTs > 1_600_000_000_000)
  assert.match(reason, /413 M_TOO_LARGE/)
  assert.deepEqual(rest, {
    destination: them,
    stream: 2,
    event_id: '$bad1',
    room_id: '!r:here.test',
    refusals: 1,
  })
  const from = encodeURIComponent(first.body.next)
  const second = await ask('GET', `outbox_quarantine?from=${from}`)
  assert.deepEqual(
    second.body.items.map((one: { event_id: string }) => one.event_id),
    ['$bad2'],
  )
  assert.equal(second.body.next, undefined)
  const drop = await ask('DELETE', `outbox_quarantine/${them}?stream=3`)
  assert.deepEqual(drop.body, { count: 1 })
  world.script = () => 200
  assert.deepEqual((await ask('POST', `outbox_quarantine/${them}/retry`)).body, { count: 1 })
  await time.run(60_000)
  assert.deepEqual(sent.at(-1)?.pdus, ['$bad1'])
  assert.deepEqual((await ask('GET', 'outbox_quarantine')).body, { items: [] })
  assert.equal((await ask('GET', 'outbox_quarantine?from=x')).status, 400)
  assert.equal((await ask('GET', 'outbox_quarantine', { token: 'alice' })).status, 403)
})

test('what a server took and could not use is done with, and shown with its reason', async () => {
  const errors = {
    $a: { error: 'x'.repeat(1000) },
    $b: {},
    $c: { error: 'odd' },
    $never: { error: 'z' },
  }
  const { time, queue, sender, sent, left } = await openSender(() => [
    200,
    JSON.stringify({ pdus: errors }),
  ])
  await queue(['$a', '$b', '$c'], { room: '!r:here.test' })
  await time.run(60_000)
  assert.deepEqual(
    sent.flatMap(({ pdus }) => pdus),
    ['$a', '$b', '$c'],
  )
  assert.deepEqual(await left(), [])
  const ask = adminAsker([refusedEventsRoute], { outboxQuarantine: sender.quarantine })
  const { events } = (await ask('GET', `refused_events/${them}`)).body
  assert.deepEqual(
    events.map(({ refused_ts: _, ...event }: Record<string, unknown>) => event).toSorted(byEvent),
    [
      { event_id: '$a', room_id: '!r:here.test', error: 'x'.repeat(500) },
      { event_id: '$c', room_id: '!r:here.test', error: 'odd' },
    ],
  )
  assert.equal((await ask('GET', `refused_events/${them}?limit=1`)).body.events.length, 1)
  assert.deepEqual((await ask('GET', 'refused_events/other.test')).body, { events: [] })
  assert.equal((await ask('GET', `refused_events/${them}`, { token: 'alice' })).status, 403)
})

function byEvent(a: { event_id?: unknown }, b: { event_id?: unknown }): number {
  return String(a.event_id).localeCompare(String(b.event_id))
}
