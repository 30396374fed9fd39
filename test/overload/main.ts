/**
 * `npm run overload`: attacks a real server with what there is to be attacked with, and measures what its
 * honest users notice of it.
 *
 * @module
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { quantile } from '../../bench/statistics.ts'
import { makeAuthority } from '../../src/io/certificates.ts'
import { roomVersions } from '../../src/protocol/room-version.ts'
import { Client } from '../rig/client.ts'
import { Arena, type Measured, pause, type Statuses } from './arena.ts'
import { fullDisk } from './full-disk.ts'
import { type PlayedServer, playServer } from './played-server.ts'
import { type Scenario, scenarios } from './scenarios.ts'

const usage = `npm run overload -- [options] [words]

Words: only scenarios whose name has one of them; \`disk\` is one more.
  --seconds N    how long each lasts (15)
  --memory N     the heap of the server, in MiB (as much as Node takes by itself)
  --json F       writes the figures to a file
`

const { values, positionals: words } = parseArgs({
  allowPositionals: true,
  options: {
    help: { type: 'boolean', default: false },
    seconds: { type: 'string', default: '15' },
    memory: { type: 'string' },
    json: { type: 'string' },
  },
})

interface Row {
  readonly name: string
  readonly what: string
  readonly sendMs: readonly [p50: number, p99: number]
  readonly arrivalMs: readonly [p50: number, p99: number]
  readonly memoryMiB: number
  readonly answers: Readonly<Record<string, number>>
  readonly failures: readonly string[]
  readonly works: boolean
}

/** Whether the server does what it is there for, at once. */
async function works({ baseUrl, userId, token }: Client): Promise<boolean> {
  const client = new Client(baseUrl, userId, token)
  const roomId = await client.createRoom({})
  const eventId = await client.send(roomId, 'still there')
  // Whom the attack asked as may have to wait a moment.
  await pause(1000)
  const [last] = await client.history(roomId, 1)
  return last?.event_id === eventId
}

function rowOf(
  { name, what }: Pick<Scenario, 'name' | 'what'>,
  { honest, memoryMiB }: Measured,
  rest: { statuses: Statuses; works: boolean },
): Row {
  const both = (values: readonly number[]) =>
    [quantile(values, 0.5), quantile(values, 0.99)] as const
  return {
    name,
    what,
    sendMs: both(honest.sends),
    arrivalMs: both(honest.arrivals),
    memoryMiB,
    answers: Object.fromEntries(rest.statuses),
    failures: honest.failures,
    works: rest.works,
  }
}

function print(row: Row): void {
  const ms = ([p50, p99]: readonly [number, number]) => `${p50.toFixed(0)} / ${p99.toFixed(0)} ms`
  const answers = Object.entries(row.answers).map(([what, times]) => `${what}: ${times}`)
  console.log(
    `${row.name}: send ${ms(row.sendMs)}, arrival ${ms(row.arrivalMs)}, ${row.memoryMiB.toFixed(0)} MiB, ${row.works ? 'works' : 'DOES NOT WORK'}`,
  )
  console.log(`  ${row.what}; ${answers.join(', ')}`)
  for (const failure of row.failures.slice(0, 3)) console.log(`  failed: ${failure}`)
}

async function runOne(arena: Arena, scenario: Scenario, at: number): Promise<Row> {
  const attacker: PlayedServer = await playServer(arena.authority, `127.0.2.${10 + at}`)
  try {
    const victim = await Client.register(arena.hansa.baseUrl, `victim${at}`)
    const version = roomVersions.get('11')
    if (version === undefined) throw new Error('there is no version 11')
    const room = attacker.peer.createRoom(version, { tag: `attacked${at}` })
    await victim.join(room.roomId, [attacker.peer.name])
    await pause(1000)
    let statuses: Statuses = new Map()
    const durationMs = Number(values.seconds) * 1000
    const measured = await arena.measure(async () => {
      statuses = await scenario.run({ arena, attacker, victim, room, durationMs })
    })
    const row = rowOf(scenario, measured, { statuses, works: await works(victim) })
    await pause(3000)
    return row
  } finally {
    await attacker.close()
  }
}

async function main(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'hansa-overload-'))
  const authority = await makeAuthority('Overload', Date.now())
  const isWanted = (name: string) => words.length === 0 || words.some((word) => name.includes(word))
  const wanted = scenarios.filter(({ name }) => isWanted(name))
  const rows: Row[] = []
  try {
    if (wanted.length > 0) {
      const arena = await Arena.open({
        folder: join(folder, 'hansa'),
        authority,
        host: '127.0.0.5',
        honestHost: '127.0.0.6',
        nodeFlags: values.memory === undefined ? [] : [`--max-old-space-size=${values.memory}`],
      })
      for (const [at, scenario] of wanted.entries()) {
        const row = await runOne(arena, scenario, at)
        rows.push(row)
        print(row)
      }
      await arena.close()
    }
    if (isWanted('disk')) console.log(await fullDisk(join(folder, 'disk'), authority))
    if (values.json !== undefined) writeFileSync(values.json, JSON.stringify(rows, undefined, 1))
    if (rows.some((row) => !row.works)) process.exitCode = 1
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

// Servers, honest users and disks end with the process that started them, which a signal alone would not do.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(143))

if (values.help) console.log(usage)
else {
  await main()
  // What attackers left open does not keep the process.
  process.exit()
}
