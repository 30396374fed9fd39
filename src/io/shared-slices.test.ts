import assert from 'node:assert/strict'
import { test } from 'node:test'
import { realClock } from './real-clock.ts'
import { SharedSlices } from './shared-slices.ts'
import { VirtualTime } from './simulated/simulated-clock.ts'

/** Workers who do so many pieces each, of so many milliseconds: how many are done in each turn, and by whom. */
async function done(
  keys: readonly string[],
  { pieces, pieceMs }: { pieces: number; pieceMs: number },
) {
  let ms = 0
  const slices = new SharedSlices<string>({ ...realClock, monotonicMs: () => ms })
  const turns: string[][] = [[]]
  let left = keys.length * pieces
  const counting = () => {
    turns.push([])
    if (left > 0) setImmediate(counting)
  }
  setImmediate(counting)
  const work = async (key: string) => {
    for (let piece = 0; piece < pieces; piece += 1) {
      await slices.begin(key)
      ms += pieceMs
      left -= 1
      turns.at(-1)?.push(key)
    }
  }
  await Promise.all(keys.map(work))
  return turns.filter((turn) => turn.length > 0)
}

test('many who do small pieces share one slice in each turn of the event loop', async () => {
  const turns = await done(['a', 'b', 'c', 'd', 'e', 'f'], { pieces: 10, pieceMs: 1 })
  const most = Math.max(...turns.map((turn) => turn.length))
  // Four begin in the time of a slice, and others who came before that was over.
  assert.ok(most < 10, `${most} pieces in one turn`)
})

test('those of different keys are let in in turn', async () => {
  const turns = await done(['many', 'many', 'many', 'few'], { pieces: 2, pieceMs: 10 })
  const order = turns.flat()
  assert.ok(order.lastIndexOf('few') < 6, order.join())
})

test('who is alone does not wait, as long as there is time', async () => {
  const time = new VirtualTime()
  const slices = new SharedSlices<string>(time.clock())
  let begun = 0
  const work = async () => {
    for (; begun < 5; begun += 1) await slices.begin('a')
  }
  await work()
  assert.equal(begun, 5)
})
