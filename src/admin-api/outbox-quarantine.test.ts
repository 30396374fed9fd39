import assert from 'node:assert/strict'
import { test } from 'node:test'
import { adminAsker } from '../../test/admin-ask.ts'
import { openSender, them } from '../../test/sender-world.ts'
import { outboxQuarantineRoutes } from './outbox-quarantine.ts'

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
