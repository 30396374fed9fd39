/**
 * What never grows beyond its limit, looked at after each step of a run.
 *
 * @module
 */

import { stagedMax } from '../../src/rooms/staged-limit.ts'
import { sql } from '../../src/storage/database.ts'
import type { Run } from './run.ts'
import type { SimulatedServer } from './simulated-server.ts'

/** Twenty are merged at a time; while that is under way others may come. */
const extremitiesMax = 40
/** What a server has set timers for: what it waits for, and what it looks at now and then. */
const timersMax = 200

export async function checkBounds(run: Run): Promise<void> {
  const { world } = run
  for (const server of world.servers) {
    if (server.isUp) await world.time.await(checkServer(run, server))
  }
}

async function checkServer(run: Run, server: SimulatedServer): Promise<void> {
  const within = (what: string, count: number, max: number) => {
    const most = run.counters.get(`most ${what}`) ?? 0
    run.counters.set(`most ${what}`, Math.max(most, count))
    if (count > max && most <= max)
      run.problems.push(`${server.name} has ${count} ${what}, more than ${max}`)
  }
  within('timers', server.timers, timersMax)
  const { database } = server
  const rooms = await database.all<{ extremities: string }>(sql`SELECT extremities FROM rooms`)
  for (const { extremities } of rooms) {
    within('extremities', JSON.parse(extremities).length, extremitiesMax)
  }
  const staged = await database.all<{ count: number }>(
    sql`SELECT COUNT(*) AS count FROM staged_pdus GROUP BY room_id`,
  )
  for (const { count } of staged) within('staged events of a room', count, stagedMax)
}
