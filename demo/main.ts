/**
 * `npm run demo`: two Hansas hold one room together through a cut, and the room is drawn.
 *
 * Options: `--keep` leaves both servers running until Ctrl-C; `--out FILE` says where to put the page.
 * Exit codes: 0 if both servers end with the same state, 1 if not or if it was interrupted, 2 for wrong
 * arguments.
 *
 * @module
 */

import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { contestsOf } from '../src/room-picture/contests.ts'
import type { DrawnRoom } from '../src/room-picture/drawn-room.ts'
import { differingKeys } from '../src/room-picture/room-sections.ts'
import { Words } from '../src/room-picture/words.ts'
import { drawRoom } from './graph.ts'
import { Narrator } from './narrator.ts'
import { type Ending, play } from './story.ts'
import { password, Towns } from './towns.ts'

const say = new Narrator(process.stdout)

/** Resolves when somebody wants this to end. */
const stopped = new Promise<void>((resolve) => {
  process.once('SIGINT', () => resolve())
  process.once('SIGTERM', () => resolve())
})

async function demonstrate({ keep, out }: { keep: boolean; out: string }): Promise<boolean> {
  say.title('Hansa: one room, two servers, and a cut between them')
  const towns = await Towns.prepare(['Lübeck', 'Visby'])
  try {
    await say.tell('Two servers start, with certificates of one authority.', () => towns.start())
    for (const { title, process } of towns.towns) say.note(`${title} is ${process.serverName}`)
    const ending = await Promise.race([play(towns, say), stopped])
    if (ending === undefined) return false
    const isEqual = conclude(ending.room)
    writeFileSync(out, drawRoom(ending.room))
    say.note('', `The picture of it all, after ${say.seconds}:`, pathToFileURL(out).href, '')
    if (keep) await stay(towns, ending)
    return isEqual
  } finally {
    await towns.end()
  }
}

/** Says who won, and whether the servers agree. */
function conclude(room: DrawnRoom): boolean {
  const words = new Words(room)
  say.title('What came of it')
  for (const { type, state_key, candidates } of contestsOf(room)) {
    if (candidates.length < 2) continue
    for (const { event, won, reason } of candidates) {
      if (!won) continue
      say.note(`${words.key(type, state_key)}: ${words.name(event.sender)}’s. ${reason}`)
    }
  }
  const differing = differingKeys(room)
  const size = room.states.values().next().value?.size ?? 0
  if (differing.length === 0) say.good(`Both servers hold the same ${size} state events.`)
  else say.bad(`The servers differ in ${differing.length} places: ${differing.join(', ')}`)
  return differing.length === 0
}

async function stay(towns: Towns, { people, roomId }: Ending): Promise<void> {
  say.title('Both servers go on running until you press Ctrl-C')
  for (const { title, process } of towns.towns) {
    const users = Object.values(people).filter(({ baseUrl }) => baseUrl === process.baseUrl)
    say.note(`${title}: ${process.baseUrl}, log ${process.logFile}`)
    for (const { userId } of users) say.note(`  ${userId}, password ${password}`)
  }
  const [town] = towns.towns
  const room = `${town?.process.baseUrl}/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}`
  say.note(
    '',
    'Say something as Anna:',
    `curl -X PUT -H 'Authorization: Bearer ${people.anna.token}' \\`,
    `  -d '{"msgtype": "m.text", "body": "Hello"}' \\`,
    `  '${room}/send/m.room.message/1'`,
    '',
  )
  await stopped
}

/** What was asked for, or a sentence on what is wrong with it. */
function readArguments(): { keep: boolean; out: string } | string {
  try {
    const { values } = parseArgs({
      options: {
        keep: { type: 'boolean', default: false },
        out: { type: 'string', default: 'hansa-demo.html' },
      },
    })
    return { keep: values.keep, out: resolve(values.out) }
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

const wanted = readArguments()
if (typeof wanted === 'string') {
  process.stderr.write(`${wanted}\nUsage: npm run demo -- [--keep] [--out FILE]\n`)
  process.exitCode = 2
} else {
  process.exitCode = (await demonstrate(wanted)) ? 0 : 1
}
