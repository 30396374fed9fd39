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
import { type Certificate, makeAuthority } from '../../src/io/certificates.ts'
import { roomVersions } from '../../src/protocol/room-version.ts'
import { Client } from '../rig/client.ts'
import { Arena, type Measured, pause, type Statuses } from './arena.ts'
import { fullDisk } from './full-disk.ts'
import { memoryLimit } from './memory-limit.ts'
import { type PlayedServer, playServer } from './played-server.ts'
import type { Scenario } from './scenario.ts'
import { scenarios } from './scenarios.ts'

const usage = `npm run overload -- [options] [words]

Words: only scenarios whose name has one of them; \`disk\` is one more.
  --seconds N    how long each lasts (20)
  --runs N       how often all of it is done; of figures the medians are told (1)
  --quiet        as on a machine that does nothing else: other programs, and the attackers, are given
                 what processors the server and its honest users leave (by \`chrt\`, which root may use)
  --floor        does what can be compared to a server of bare \`node:http\` and \`node:https\`, too
  --profile F    writes CPU profiles of the server to a folder
  --node=F       further flags of Node for the server, with spaces between them
  --log F        keeps the log of the server in a file
  --memory N     the heap of the server, in MiB (as much as Node takes by itself)
  --cgroup N     the memory of the server, in MiB, as a container limits it (which root may)
  --json F       writes the figures to a file
`

const { values, positionals: words } = parseArgs({
  allowPositionals: true,
  options: {
    help: { type: 'boolean', default: false },
    seconds: { type: 'string', default: '20' },
    runs: { type: 'string', default: '1' },
    quiet: { type: 'boolean', default: false },
    floor: { type: 'boolean', default: false },
    profile: { type: 'string' },
    node: { type: 'string', default: '' },
    log: { type: 'string' },
    memory: { type: 'string' },
    cgroup: { type: 'string' },
    json: { type: 'string' },
  },
})

const isWanted = (name: string) => words.length === 0 || words.some((word) => name.includes(word))

type Spread = readonly [p50: number, p99: number]

interface Row {
  readonly name: string
  readonly what: string
  readonly sendMs: Spread
  readonly arrivalMs: Spread
  /** A message from the head of its request to the end of its answer, in the server. */
  readonly insideMs: Spread
  /** The processor time that the server's thread used meanwhile, for whomever. */
  readonly aheadMs: Spread
  /** The same of an event of the honest server. */
  readonly aheadOfEventMs: Spread
  /** How late the server's timers came. */
  readonly lateMs: Spread
  /** What the server's thread did at once, in processor time: 99 of 100 times, and the longest. */
  readonly sliceMs: readonly [p99: number, longest: number]
  /** The share of a processor that the server's thread used, and all of the server. */
  readonly busy: readonly [thread: number, all: number]
  readonly memoryMiB: number
  readonly walMiB: number
  /** The medians in each tenth of the time. */
  readonly memoryByTenths: readonly number[]
  /** 99 of 100 in each tenth of the time. */
  readonly sendMsByTenths: readonly number[]
  readonly arrivalMsByTenths: readonly number[]
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
  { honest, seen, memory, walMiB, tookMs }: Measured,
  rest: { statuses: Statuses; works: boolean },
): Row {
  const both = (numbers: readonly number[]) =>
    [quantile(numbers, 0.5), quantile(numbers, 0.99)] as const
  return {
    name,
    what,
    sendMs: both(honest.sends),
    arrivalMs: both(honest.arrivals),
    insideMs: both(seen.sends),
    aheadMs: both(seen.sendsCpu),
    aheadOfEventMs: both(seen.arrivalsCpu),
    lateMs: both(seen.late),
    sliceMs: [quantile(seen.slices, 0.99), quantile(seen.slices, 1)],
    busy: [seen.threadMs / tookMs, seen.processMs / tookMs],
    memoryMiB: Math.max(...memory),
    walMiB: Math.max(...walMiB),
    memoryByTenths: tenthsOf(memory, 0.5),
    sendMsByTenths: tenthsOf(honest.sends, 0.99),
    arrivalMsByTenths: tenthsOf(honest.arrivals, 0.99),
    answers: Object.fromEntries(rest.statuses),
    failures: honest.failures,
    works: rest.works,
  }
}

/** A quantile of each tenth of what was measured one after the other. */
function tenthsOf(samples: readonly number[], q: number): number[] {
  return Array.from({ length: 10 }, (_, tenth) => {
    const [from, to] = [tenth, tenth + 1].map((at) => Math.floor((at * samples.length) / 10))
    return Math.round(quantile(samples.slice(from, to), q))
  })
}

function print(row: Row): void {
  const ms = ([p50, p99]: Spread) => `${p50.toFixed(1)} / ${p99.toFixed(1)}`
  const [thread, all] = row.busy.map((share) => `${(share * 100).toFixed(0)} %`)
  const answers = Object.entries(row.answers).map(([what, times]) => `${what}: ${times}`)
  console.log(
    `${row.name}: send ${ms(row.sendMs)} ms, arrival ${ms(row.arrivalMs)} ms, ${row.memoryMiB.toFixed(0)} MiB, ${row.works ? 'works' : 'DOES NOT WORK'}`,
  )
  console.log(
    `  in the server: send ${ms(row.insideMs)} ms, ahead of it ${ms(row.aheadMs)} ms, ahead of an event ${ms(row.aheadOfEventMs)} ms, timers late ${ms(row.lateMs)} ms, at once ${ms(row.sliceMs)} ms (99 of 100 / longest); thread ${thread}, process ${all}`,
  )
  console.log(`  ${row.what}; ${answers.join(', ')}`)
  console.log(
    `  by tenths: memory ${row.memoryByTenths.join(', ')} MiB; 99 of 100 sends ${row.sendMsByTenths.join(', ')} ms, arrivals ${row.arrivalMsByTenths.join(', ')} ms; log of the database ${row.walMiB.toFixed(0)} MiB at most`,
  )
  for (const failure of row.failures.slice(0, 3)) console.log(`  failed: ${failure}`)
}

/** Of several runs of a scenario the median of each figure, and the answers of the last. */
function medianOf(rows: readonly Row[]): Row {
  const [first] = rows
  if (first === undefined) throw new Error('there is no run')
  const median = (of: (row: Row) => number) => quantile(rows.map(of), 0.5)
  const spread = (
    name:
      | 'sendMs'
      | 'arrivalMs'
      | 'insideMs'
      | 'aheadMs'
      | 'aheadOfEventMs'
      | 'lateMs'
      | 'sliceMs'
      | 'busy',
  ) => [median((row) => row[name][0]), median((row) => row[name][1])] as const
  return {
    ...(rows.at(-1) ?? first),
    sendMs: spread('sendMs'),
    arrivalMs: spread('arrivalMs'),
    insideMs: spread('insideMs'),
    aheadMs: spread('aheadMs'),
    aheadOfEventMs: spread('aheadOfEventMs'),
    lateMs: spread('lateMs'),
    sliceMs: spread('sliceMs'),
    busy: spread('busy'),
    memoryMiB: median((row) => row.memoryMiB),
    walMiB: median((row) => row.walMiB),
    failures: rows.flatMap(({ failures }) => failures),
    works: rows.every((row) => row.works),
  }
}

async function runOne(arena: Arena, scenario: Scenario, at: number): Promise<Row> {
  const attacker: PlayedServer = await playServer(arena.authority, `127.0.2.${10 + at}`)
  try {
    const victim = await Client.register(arena.server.baseUrl, `victim${at}`)
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
    const isWorking = arena.isFloor || (await works(victim))
    const row = rowOf(scenario, measured, { statuses, works: isWorking })
    await pause(3000)
    return row
  } finally {
    await attacker.close()
  }
}

/** All wanted scenarios, one after the other, with one server; with the floor those that can be compared. */
async function runAll(
  folder: string,
  authority: Certificate,
  { isFloor = false } = {},
): Promise<Row[]> {
  const wanted = scenarios.filter(({ name, isOpen }) => isWanted(name) && (isOpen || !isFloor))
  if (wanted.length === 0) return []
  const { memory, cgroup, profile, node, log: logFile } = values
  const limit = cgroup === undefined ? undefined : memoryLimit(Number(cgroup))
  const arena = await Arena.open({
    folder,
    authority,
    host: '127.0.0.5',
    honestHost: '127.0.0.6',
    nodeFlags: [
      ...(memory === undefined ? [] : [`--max-old-space-size=${memory}`]),
      ...node.split(' ').filter((flag) => flag !== ''),
      ...(profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`]),
    ],
    isFirst: values.quiet,
    launcher: limit?.launcher ?? [],
    isFloor,
    ...(logFile === undefined ? {} : { logFile }),
  })
  const rows: Row[] = []
  for (const [at, scenario] of wanted.entries()) {
    const { name } = scenario
    const row = { ...(await runOne(arena, scenario, at)), name: isFloor ? `${name} (floor)` : name }
    rows.push(row)
    print(row)
  }
  await arena.close()
  if (limit !== undefined) console.log(`at most ${limit.mostMiB().toFixed(0)} MiB, with files`)
  limit?.release()
  return rows
}

async function main(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'hansa-overload-'))
  const authority = await makeAuthority('Overload', Date.now())
  const rows: Row[] = []
  try {
    for (let run = 0; run < Number(values.runs); run += 1) {
      rows.push(...(await runAll(join(folder, `hansa${run}`), authority)))
      if (!values.floor) continue
      rows.push(...(await runAll(join(folder, `floor${run}`), authority, { isFloor: true })))
    }
    const medians = [...Map.groupBy(rows, ({ name }) => name).values()].map(medianOf)
    if (Number(values.runs) > 1) {
      console.log('medians:')
      for (const row of medians) print(row)
    }
    if (isWanted('disk')) console.log(await fullDisk(join(folder, 'disk'), authority))
    if (values.json !== undefined) writeFileSync(values.json, JSON.stringify(medians, undefined, 1))
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
