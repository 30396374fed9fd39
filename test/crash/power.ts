/**
 * `npm run power`: what a loss of power leaves of a server. Everything that a real one asks of its disk
 * while it works is written down by strace; then disks are made as they may be after the power failed at
 * some moment: all that was synced, and any part of the rest (`disk.ts`). Of each of them must hold:
 *
 * - the database is, to the byte, what it was after the last commit that was synced, or after the one
 *   under way: no commit is lost, and none is there in part,
 * - what `hansa doctor --store` looks for is not found, and each file of media that it names is there,
 * - what users were told is there: events, media,
 * - a server starts on it, gives users what they were told, and leaves no file that nothing names.
 *
 * @module
 */

import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type SeededRandom, seededRandom } from '../../src/io/simulated/simulated-random.ts'
import type { Call } from './calls.ts'
import { Disk } from './disk.ts'
import { Inspector, type Told } from './inspector.ts'
import { type Recording, record, toldBy } from './recording.ts'
import { reasonNotToTrace } from './strace.ts'

const usage = `npm run power -- [options]

  --images N   disks to look at; 1000 if it is not said
  --starts N   on so many of them a server is started, too; 50 if it is not said
  --rounds N   rounds of work that are written down; 2 if it is not said
  --seed N     what is lost, as a run before has printed it
`
/** Disks that are made of one moment. */
const imagesOfMoment = 4

const { values } = parseArgs({
  options: {
    help: { type: 'boolean', default: false },
    images: { type: 'string', default: '1000' },
    starts: { type: 'string', default: '50' },
    rounds: { type: 'string', default: '2' },
    seed: { type: 'string' },
  },
})

/** At how many disks are made after each call, in their order, the power fails. */
function momentsOf(recording: Recording, random: SeededRandom): Map<number, number> {
  const { calls } = recording
  const within = calls.flatMap(({ path, texts, name }, index) => {
    const about = [path, ...(/write/.test(name) ? [] : texts.map(String))]
    return about.some((one) => one?.startsWith(recording.folder)) ? [index] : []
  })
  const told = calls.flatMap((call, index) => (toldBy(call).length > 0 ? [index] : []))
  const moments = new Map<number, number>()
  for (let left = Number(values.images); left > 0; left -= imagesOfMoment) {
    // A third of them right after somebody was told something.
    const index = random.pick(told.length > 0 && random.happens(0.3) ? told : within)
    moments.set(index, (moments.get(index) ?? 0) + Math.min(left, imagesOfMoment))
  }
  return moments
}

interface Totals {
  images: number
  starts: number
  readonly losses: Map<string, number>
  readonly problems: string[]
}

async function lookAtAll(
  recording: Recording,
  inspector: Inspector,
  random: SeededRandom,
): Promise<Totals> {
  const totals: Totals = { images: 0, starts: 0, losses: new Map(), problems: [] }
  const moments = momentsOf(recording, random.fork('moments'))
  const startsEvery = Math.max(1, Math.floor(Number(values.images) / Number(values.starts)))
  const disk = new Disk(recording.folder)
  const told: Told = new Set()
  const commits = new Commits(recording, moments)
  for (const [index, call] of recording.calls.entries()) {
    // All is written of the commit that is about to last.
    if (commits.isOne(call)) {
      const next = commits.isNeeded(index) ? inspector.whole(disk, random) : undefined
      totals.problems.push(...commits.last(next))
    }
    disk.apply(call)
    for (const id of toldBy(call)) {
      if (id.startsWith('mxc:') || recording.eventIds.has(id)) told.add(id)
    }
    for (let count = moments.get(index) ?? 0; count > 0; count -= 1) {
      const own = random.fork(`${index} ${count}`)
      totals.images += 1
      const isStarted = totals.images % startsEvery === 0
      const image = await inspector.look(disk, { random: own, told, isStarted })
      const what = `call ${index}, image ${count} (${image.loss} lost)`
      totals.losses.set(image.loss, (totals.losses.get(image.loss) ?? 0) + 1)
      if (isStarted) totals.starts += 1
      totals.problems.push(...image.problems.map((problem) => `${what}: ${problem}`))
      if (image.content !== undefined) commits.saw(what, image.content)
      if (totals.images % 100 === 0) console.log(`${totals.images} images, ${totals.starts} starts`)
    }
  }
  totals.problems.push(...commits.last(inspector.whole(disk, random)))
  return totals
}

/** What the database was after each commit, as far as somebody looks between it and the next. */
class Commits {
  readonly #path: string
  readonly #needed = new Set<number>()
  #content: string | undefined
  #seen: { readonly what: string; readonly content: string }[] = []

  constructor({ calls, folder }: Recording, moments: ReadonlyMap<number, number>) {
    this.#path = `${folder}/hansa.db-wal`
    let before: number | undefined
    let isLookedAt = false
    for (const [index, call] of calls.entries()) {
      if (this.isOne(call)) {
        if (isLookedAt) this.#needed.add(index)
        before = index
        isLookedAt = false
      }
      if (!moments.has(index)) continue
      isLookedAt = true
      if (before !== undefined) this.#needed.add(before)
    }
  }

  /** A sync of the log of the database is what makes a commit last. */
  isOne({ name, path }: Call): boolean {
    return /^f(?:data)?sync$/.test(name) && path === this.#path
  }

  isNeeded(index: number): boolean {
    return this.#needed.has(index)
  }

  saw(what: string, content: string): void {
    // Before the first commit the file is in the making.
    if (this.#content !== undefined) this.#seen.push({ what, content })
  }

  /** Goes on to the next commit. Gives what was seen since the last that is neither it nor the next. */
  last(next: string | undefined): string[] {
    const isEither = (content: string) => content === this.#content || content === next
    const problems = this.#seen.flatMap(({ what, content }) =>
      isEither(content) ? [] : [`${what}: the database is that of no commit`],
    )
    this.#seen = []
    this.#content = next
    return problems
  }
}

async function main(): Promise<void> {
  const seed = Number(values.seed ?? Math.floor(performance.timeOrigin) % 100_000)
  console.log(`seed ${seed}`)
  const reason = reasonNotToTrace()
  if (reason !== undefined) {
    console.error(`Losses of power cannot be tried: ${reason}.`)
    process.exitCode = 1
    return
  }
  const recording = await record(Number(values.rounds))
  console.log(`${recording.calls.length} calls written down`)
  const memory = '/dev/shm'
  const folder = mkdtempSync(join(existsSync(memory) ? memory : tmpdir(), 'hansa-power-'))
  const startMs = performance.now()
  const inspector = new Inspector(recording, folder)
  try {
    const totals = await lookAtAll(recording, inspector, seededRandom(seed))
    const { images, starts, losses, problems } = totals
    for (const problem of problems.slice(0, 40)) console.log(problem)
    const kinds = [...losses].map(([loss, count]) => `${loss} lost: ${count}`).join(', ')
    const seconds = Math.round((performance.now() - startMs) / 1000)
    console.log(`${kinds}; ${inspector.contents} contents of the database, in ${seconds} s`)
    console.log(`${images} images, ${starts} starts, ${problems.length} problems`)
    process.exitCode = problems.length === 0 ? 0 : 1
  } finally {
    rmSync(folder, { recursive: true, force: true })
    recording.end()
  }
}

if (values.help) console.log(usage)
else await main()
