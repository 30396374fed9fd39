import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openSqlite } from '../storage/sqlite.ts'
import { addTransaction } from '../storage/transactions.ts'
import { MetTransactions, nameOf } from './met-transactions.ts'

const count = 1200
const keyOf = (number: number) =>
  ({
    userId: `@u${number % 7}:h`,
    deviceId: `D${number % 5}`,
    path: `rooms/!r${number % 3}:h/send/m.room.message`,
    txnId: `t${number}`,
  }) as const

test('what was met is known, through several pages, and nearly all that is new is', async () => {
  const db = await openSqlite({})
  await db.write((tx) => {
    for (let number = 0; number < count; number += 1) {
      addTransaction(tx, keyOf(number), { id: '$e', now: 1, stream: number })
    }
  })
  const met = new MetTransactions()
  const isUnsure = (number: number) => met.mayHave(nameOf(keyOf(number)))
  // As long as the store was not read, nothing is known to be new.
  assert.ok(isUnsure(count))
  let pauses = 0
  const sleep = async () => {
    pauses += 1
  }
  await met.read(db, { sleep })
  assert.equal(pauses, 2)
  const numbers = [...Array(2 * count).keys()]
  assert.deepEqual(
    numbers.slice(0, count).filter((number) => !isUnsure(number)),
    [],
  )
  assert.ok(numbers.slice(count).filter(isUnsure).length < 10)
  met.add(nameOf(keyOf(2 * count)))
  assert.ok(isUnsure(2 * count))
  await db.close()
})
