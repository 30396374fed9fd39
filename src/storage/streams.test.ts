import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { forEachDatabase } from '../../test/databases.ts'
import { sql } from './database.ts'
import { migration, programMigrations } from './migrate.ts'
import { memoryImage, openSqlite } from './sqlite.ts'
import { openStreams, type Streams } from './streams.ts'

const migrations = [
  ...programMigrations,
  migration('9999-test.sql', 'CREATE TABLE seen (position BIGINT NOT NULL PRIMARY KEY);'),
]

test('positions follow one another, and are settled in their order', async () => {
  const due: (() => void)[] = []
  const db = await openSqlite({ migrations, schedule: (act) => due.push(act) })
  const opening = openStreams(db)
  await turn()
  due.shift()?.()
  const streams = await opening
  const told: number[] = []
  const end = streams.onSettled((position) => told.push(position))
  const base = streams.settled()

  const written = streams.write(3, (_, first) => first)
  assert.equal(streams.take(), base + 4)
  assert.equal(streams.settled(), base, 'what is in memory waits for what is below it')
  due.shift()?.()
  assert.equal(await written, base + 1)
  assert.equal(streams.settled(), base + 4)
  assert.equal(streams.take(), base + 5)
  end()
  streams.take()
  assert.deepEqual(told, [base + 4, base + 5])
})

test('a unit that cannot be collected does not stop the stream', async () => {
  const streams = await openStreams(await openSqlite({ migrations }))
  const fails = streams.write(2, () => {
    throw new Error('no')
  })
  const position = streams.take()
  await assert.rejects(fails, /^Error: no$/)
  assert.equal(streams.settled(), position)
})

forEachDatabase(
  'whoever awaits a write finds it settled, and begins above it after a restart',
  async (db) => {
    const streams = await openStreams(db)
    const write = async (fails: boolean) => {
      const outcome = await Promise.allSettled([
        streams.write(2, (tx, first) => {
          tx.run(sql`INSERT INTO seen (position) VALUES (${first})`)
          if (fails) tx.run(sql`INSERT INTO seen (position) VALUES (${first})`)
          return first
        }),
      ])
      const first = outcome[0].status === 'fulfilled' ? outcome[0].value : undefined
      assert.equal(first === undefined, fails)
      if (first !== undefined) assert.ok(streams.settled() > first)
    }
    await Promise.all(Array.from({ length: 60 }, (_, n) => write(n % 7 === 3)))
    const last = streams.take()
    assert.equal(streams.settled(), last)
    const again = await openStreams(db)
    assert.ok(again.take() > last)
  },
  { migrations },
)

test('a stream that is opened twice at the same time is refused', async () => {
  const db = await openSqlite({ migrations })
  const openings = await Promise.allSettled([openStreams(db), openStreams(db)])
  assert.deepEqual(openings.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
})

/** What somebody does with the stream, or what happens to the machine. */
const act = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('write'),
      count: fc.integer({ min: 1, max: 4 }),
      fails: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('take') }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('take many'),
      count: fc.integer({ min: 1, max: 500_000 }),
    }),
  },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('commit') }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('crash') }) },
)

test('property: no position twice, none settled before those below it, whatever happens', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(act, { maxLength: 40 }), async (acts) => {
      const world = await World.start()
      for (const each of acts) {
        await world.act(each)
        await world.check()
      }
    }),
    { numRuns: 150 },
  )
})

type Act = { kind: string; count?: number; fails?: boolean }

/** A machine with one stream on it, and a model of what was asked of the stream. */
class World {
  readonly #image = memoryImage()
  #due: (() => void)[] = []
  #streams: Streams | undefined
  #db: Awaited<ReturnType<typeof openSqlite>> | undefined
  #highest = 0
  /** Positions of writes that have neither resolved nor rejected. */
  #pending = new Set<number>()
  #committed = new Set<number>()
  #settledBefore = 0

  static async start(): Promise<World> {
    const world = new World()
    await world.#open()
    return world
  }

  async #open() {
    this.#due = []
    const due = this.#due
    this.#db = await openSqlite({
      image: this.#image,
      migrations,
      schedule: (run) => due.push(run),
    })
    const opening = openStreams(this.#db)
    await turn()
    this.#commit()
    this.#streams = await opening
    assert.ok(this.#streams.settled() >= this.#highest, 'a restart begins above all given out')
  }

  #commit() {
    for (const run of this.#due.splice(0)) run()
  }

  async act({ kind, count = 1, fails = false }: Act) {
    const streams = this.#streams as Streams
    if (kind === 'write') this.#write(streams, count, fails)
    if (kind === 'take') this.#give(streams.take(), 1)
    if (kind === 'take many') {
      // As many as a block holds must be there whenever the database had its turn.
      this.#commit()
      await turn()
      this.#write(streams, count, false)
    }
    if (kind === 'commit') this.#commit()
    if (kind === 'crash') {
      this.#db?.crash()
      this.#pending.clear()
      await this.#open()
    }
    await turn()
  }

  #write(streams: Streams, count: number, fails: boolean) {
    const pending = this.#pending
    const written = streams.write(count, (tx, first) => {
      this.#give(first, count)
      pending.add(first)
      tx.run(sql`INSERT INTO seen (position) VALUES (${first})`)
      if (fails) tx.run(sql`INSERT INTO seen (position) VALUES (${first})`)
      return first
    })
    written.then(
      (first) => {
        assert.ok(!fails)
        pending.delete(first)
        this.#committed.add(first)
        assert.ok(streams.settled() >= first + count - 1, 'a write resolves when it is settled')
      },
      () => {
        assert.ok(fails)
        for (const first of pending) if (first <= streams.settled()) pending.delete(first)
      },
    )
  }

  #give(first: number, count: number) {
    assert.ok(first > this.#highest, 'given out once')
    this.#highest = first + count - 1
  }

  async check() {
    const settled = (this.#streams as Streams).settled()
    assert.ok(settled >= this.#settledBefore, 'settled does not go back')
    this.#settledBefore = settled
    for (const first of this.#pending) assert.ok(first > settled, 'nothing below is pending')
    const rows = await this.#db?.all<{ position: number }>(sql`SELECT position FROM seen`)
    const stored = new Set(rows?.map(({ position }) => position))
    for (const first of this.#committed) assert.ok(stored.has(first), 'what resolved is stored')
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
