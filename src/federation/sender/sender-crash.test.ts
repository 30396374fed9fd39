/**
 * A sender that is killed at any point, before and after each commit and each request, loses nothing
 * that was committed: the next process sends it.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { VirtualTime } from '#io/simulated/simulated-clock.ts'
import { addToDeviceOutbox } from '#storage/device-outbox.ts'
import { memoryImage } from '#storage/sqlite.ts'
import { ids, minuteMs, openSender, type Script, them, us } from '../../../test/sender-world.ts'

/** What was committed, or said to be, by the process that may be killed. */
async function workload(world: Awaited<ReturnType<typeof openSender>>, done: string[]) {
  const { db, sender, queue } = world
  for (const eventId of ids(60)) {
    await queue([eventId])
    done.push(eventId)
  }
  for (const stream of [101, 102, 103]) {
    const edu_json = `{"content":{"message":"m${stream}"},"edu_type":"m.direct_to_device"}`
    const row = { stream, sub: 0, kind: 'message', user_id: `@a:${us}`, edu_json } as const
    await db.write((tx) => addToDeviceOutbox(tx, them, row))
    done.push(`m${stream}`)
  }
  sender.wake([them])
}

/** Kills at the nth point. Gives the point, if there are so many. */
async function killedAt(nth: number, script: Script): Promise<string | undefined> {
  const image = memoryImage()
  const time = new VirtualTime()
  let count = 0
  let killed: string | undefined
  const first = await openSender(script, image, time, (point) => {
    count += 1
    if (count !== nth) return
    killed = `${point}, number ${nth}`
    first.kill()
  })
  const committed: string[] = []
  void workload(first, committed)
  await time.run(10 * minuteMs)
  const second = await openSender(script, image, time)
  void second.sender.start()
  await time.run(10 * minuteMs)
  const delivered = new Set(
    [...first.sent, ...second.sent].flatMap(({ pdus, edus }) => [
      ...pdus,
      ...edus.map(({ content }) => String((content as { message: string }).message)),
    ]),
  )
  const aside = await second.refused()
  for (const { event_id: eventId } of aside) assert.equal(eventId, '$e30', killed ?? 'not killed')
  for (const item of committed) assert.ok(delivered.has(item), `${item} is lost: ${killed}`)
  assert.deepEqual(await second.left(), [], killed ?? 'not killed')
  await second.sender.close()
  return killed
}

const scripts: [string, Script][] = [
  ['a server that takes all', () => 200],
  ['a server that refuses one event', ({ pdus }) => (pdus.includes('$e30') ? 413 : 200)],
]

for (const [name, script] of scripts) {
  test(`nothing that was committed is lost, wherever the process is killed: ${name}`, async (t) => {
    const points = new Set<string>()
    let nth = 1
    for (let killed = await killedAt(nth, script); killed !== undefined; nth += 1) {
      points.add(killed.split(',')[0] ?? '')
      killed = await killedAt(nth + 1, script)
    }
    assert.deepEqual([...points].toSorted(), [
      'after a commit',
      'after a request',
      'before a commit',
      'before a request',
    ])
    t.diagnostic(`${nth - 1} points`)
    assert.ok(nth > 100)
  })
}
