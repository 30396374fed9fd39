/**
 * How long what a well-known file says is kept, and what becomes of it when its host fails.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { check, type Page, universe, wellKnown } from '../../test/discovery-world.ts'

const hourMs = 3_600_000

/** How long after the first look-up the next one asks the web again, within 10 % of the given time. */
const cacheTimes: [string, Page, number][] = [
  ['no headers', '{"m.server":"b.test:1"}', 24 * hourMs],
  ['max-age', aged('public, max-age=7200'), 2 * hourMs],
  ['max-age in quotes', aged('Max-Age="7200"'), 2 * hourMs],
  ['max-age of a year', aged('max-age=31536000'), 48 * hourMs],
  ['max-age of a second', aged('max-age=1'), hourMs / 12],
  ['no-store', aged('no-store'), hourMs / 12],
  ['max-age before expires', aged('max-age=7200', '0'), 2 * hourMs],
  // The virtual world begins on Tue, 14 Nov 2023 22:13:20 GMT.
  ['expires', expiring('Wed, 15 Nov 2023 01:13:20 GMT'), 3 * hourMs],
  ['expires in the past', expiring('Thu, 01 Jan 1970 00:00:00 GMT'), hourMs / 12],
  ['expires that is no date', expiring('-1'), hourMs / 12],
  ['an error', { status: 404 }, hourMs],
  ['junk', 'junk', hourMs],
  ['a host that fails', { status: 503 }, hourMs / 30],
]

function aged(control: string, expires?: string): Page {
  const also = expires === undefined ? {} : { expires }
  return { headers: { 'cache-control': control, ...also }, body: '{"m.server":"b.test:1"}' }
}

function expiring(expires: string): Page {
  return { headers: { expires }, body: '{"m.server":"b.test:1"}' }
}

for (const [name, page, holdsMs] of cacheTimes) {
  test(`well-known is kept: ${name}`, async () => {
    const made = universe({ web: { [wellKnown]: page } })
    const lookUp = () => check(made, 'a.test')
    await lookUp()
    await made.time.run(holdsMs * 0.9 - 1)
    await lookUp()
    assert.equal(made.asked.length, 1)
    await made.time.run(holdsMs * 0.2 + 1)
    await lookUp()
    assert.equal(made.asked.length, 2)
  })
}

test('a host that stops answering keeps its delegation for two hours, and is asked ever less often', async () => {
  const web: Record<string, Page> = { [wellKnown]: aged('max-age=3600') }
  const made = universe({ web })
  assert.match(await check(made, 'a.test'), /^b\.test/)
  delete web[wellKnown]
  await made.time.run(1.2 * hourMs)
  assert.match(await check(made, 'a.test'), /^b\.test/)
  const times: number[] = []
  for (let minute = 0; minute < 300; minute += 1) {
    const before = made.asked.length
    const outcome = await check(made, 'a.test')
    if (made.asked.length > before) times.push(minute)
    if (minute < 100) assert.match(outcome, /^b\.test/)
    if (minute > 240) assert.match(outcome, /^a\.test/)
    await made.time.run(60_000)
  }
  assert.ok(times.length >= 6 && times.length <= 9, times.join())
})
