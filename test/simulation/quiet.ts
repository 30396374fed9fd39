/**
 * That servers come to rest: when there has been no news for an hour, nothing waits any more and nobody
 * is told anything.
 *
 * Who was told a wrong key by a liar never listens to it, and a liar may name servers that are not there: so
 * lines to these are let be. And what lacks events that nobody has may sleep for ever.
 *
 * @module
 */

import { type Sql, sql } from '../../src/storage/database.ts'
import type { SimulatedClient } from './client.ts'
import { eventOf, idsIn } from './held-rooms.ts'
import { count, type Run } from './run.ts'
import type { SimulatedServer } from './simulated-server.ts'

const hourMs = 3_600_000
/** What lacks events sleeps for six hours at most, and may bring news when it has them. */
const wakingHours = 7

/** What is to be sent to others, each by destination. */
const lines: Readonly<Record<string, Sql>> = {
  events: sql`SELECT destination, COUNT(*) AS count FROM outbox GROUP BY destination`,
  EDUs: sql`SELECT destination, COUNT(*) AS count FROM edu_outbox GROUP BY destination`,
  'messages to devices': sql`
    SELECT destination, COUNT(*) AS count FROM device_outbox GROUP BY destination
  `,
}

export async function comesToRest(run: Run): Promise<void> {
  const { world } = run
  await world.settle(hourMs)
  const sentIn = async (ms: number) => {
    const before = world.transactions
    await world.settle(ms)
    return world.transactions - before
  }
  let more = await sentIn(hourMs)
  if (more > 0) {
    await world.settle(wakingHours * hourMs)
    more = await sentIn(hourMs)
  }
  if (more > 0 && !world.servers.some((server) => server.isMisled())) {
    run.problems.push(`${more} transactions were sent in an hour without news`)
  }
  for (const server of world.servers) {
    await world.time.await(nothingToSend(run, server))
    await world.time.await(nothingAsleep(run, server))
  }
  for (const client of run.clients) await world.time.await(noNews(run, client))
}

async function nothingToSend(run: Run, server: SimulatedServer): Promise<void> {
  const { name, database } = server
  const isLiar = run.liars.includes(server)
  for (const [what, line] of Object.entries(lines)) {
    const waiting = await database.all<{ destination: string; count: number }>(line)
    for (const { destination, count: many } of waiting) {
      const to = run.world.servers.find((one) => one.name === destination)
      if (to === undefined || (isLiar && to.isMisled())) continue
      run.problems.push(`at ${name} ${many} ${what} wait for ${destination}`)
    }
  }
}

/** Nothing was set aside for a mistake of ours, and what sleeps lacks something. */
async function nothingAsleep(run: Run, { name, database }: SimulatedServer): Promise<void> {
  const staged = await database.all<{
    event_id: string
    problem: string | null
    bytes: Uint8Array
  }>(sql`SELECT event_id, problem, bytes FROM staged_pdus`)
  const rows = await database.all<{ event_id: string; state_after: number | null }>(
    sql`SELECT event_id, state_after FROM events`,
  )
  const held = new Map(rows.map(({ event_id, state_after }) => [event_id, state_after !== null]))
  for (const { event_id, problem, bytes } of staged) {
    count(run, 'still asleep')
    const { prev_events, auth_events } = eventOf(bytes)
    const lacks = [
      ...idsIn(prev_events).filter((id) => !held.get(id)),
      ...idsIn(auth_events).filter((id) => !held.has(id)),
    ]
    if (problem !== null) run.problems.push(`at ${name} ${event_id} was set aside: ${problem}`)
    else if (lacks.length === 0)
      run.problems.push(`at ${name} ${event_id} sleeps and lacks nothing`)
  }
}

/** A client that has seen everything is told nothing more, and of nobody that they still type. */
async function noNews(run: Run, client: SimulatedClient): Promise<void> {
  await client.sync({ limit: 5 })
  // Who reads what they have missed may have history fetched, and with it what waited for that.
  await client.sync({ limit: 5 })
  const news = await client.newsWithin(60_000)
  if (news !== undefined) {
    const text = JSON.stringify(news).slice(0, 500)
    run.problems.push(`${client.userId} is told something long after all was said: ${text}`)
  }
  const typing = await client.typing()
  if (typing.length > 0) run.problems.push(`${client.userId} is told that ${typing} type`)
}
