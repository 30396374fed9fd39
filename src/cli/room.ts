/**
 * `hansa room compare`: our state of a room beside that of another server.
 *
 * It reads the database itself and asks the other server with our key, beside a server that runs or
 * without one, and changes nothing.
 *
 * @module
 */

import { join } from 'node:path'
import { shownComparison } from '#admin-api/room-comparison.ts'
import type { Config } from '#config/settings.ts'
import { dateText } from '#federation/examination/finding.ts'
import { createPeer, type Peer } from '#federation/peer.ts'
import { pduCheckerInPlace } from '#io/pdu-checker-in-place.ts'
import { realClock } from '#io/real-clock.ts'
import { realNetwork } from '#io/real-network.ts'
import { realRandom } from '#io/real-random.ts'
import { parseRoomId } from '#protocol/identifiers/room-id.ts'
import { parseServerName } from '#protocol/identifiers/server-name.ts'
import { type ComparedEvent, compareRoom, type RoomComparison } from '#rooms/compare-room.ts'
import { storedRooms } from '#rooms/stored-rooms.ts'
import { networkOptionsOf, readConfig, readNamed } from './config.ts'
import { keyText } from './explanation-text.ts'
import { printable, printableJson } from './findings.ts'
import { openStore } from './store.ts'

export async function compareRooms(
  room: string,
  name: string,
  options: { readonly config: string; readonly json: boolean },
): Promise<void> {
  const roomId = parseRoomId(room)
  if (roomId === undefined) throw new Error(`${room} is no room ID.`)
  const server = parseServerName(name)
  if (server === undefined) throw new Error(`${name} is no server name.`)
  const config = await readConfig(options.config)
  if (server === config.server_name) throw new Error(`${name} is this server itself.`)
  const db = await openStore(config)
  const us = await ourselves(config)
  try {
    const needs = {
      rooms: storedRooms({ db, clock: realClock }, us.signer),
      remoteServers: us.servers,
    }
    const found = await compareRoom(needs, roomId, server)
    if (options.json) console.log(printableJson(shownComparison({ roomId, server }, found)))
    else for (const line of comparisonLines(found, server)) console.log(printable(line))
    const isSame = found.differences.length === 0 && found.unreadable.length === 0
    process.exitCode = isSame ? 0 : 1
  } finally {
    await us.close()
    await db.close()
  }
}

/** Our server as others know it, without its rooms. */
async function ourselves(config: Config): Promise<Peer> {
  const signingKey = await readNamed('data_dir', join(config.data_dir, 'signing.key'))
  const network = realNetwork(await networkOptionsOf(config))
  const pduChecker = pduCheckerInPlace(realClock)
  const io = { ...network, clock: realClock, random: realRandom, pduChecker }
  return createPeer({ serverName: config.server_name, signingKey }, io)
}

function* comparisonLines(found: RoomComparison, server: string): Generator<string> {
  const { before, ourSize, theirSize, differences, unreadable } = found
  const what = `${keyText(before.type, before.state_key)} by ${before.sender}`
  yield `${before.room_id} (room version ${found.version.id}), ours and that of ${server}`
  yield `  before ${before.event_id} (${what}): ${ourSize} entries here, ${theirSize} there`
  for (const { type, stateKey, ours, theirs } of differences) {
    yield `✘ ${keyText(type, stateKey)}`
    yield `    ours    ${sideText(ours)}`
    for (const one of theirs.length === 0 ? [undefined] : theirs) {
      yield `    theirs  ${sideText(one)}`
    }
  }
  for (const id of unreadable) yield `✘ ${id} is in their state, and they do not give it`
  if (differences.length + unreadable.length === 0) yield '✔ The states are the same.'
}

function sideText(event: ComparedEvent | undefined): string {
  if (event === undefined) return '(none)'
  const { eventId, sender, originServerTs, status, rule } = event
  const ours = { accepted: '', outlier: '', missing: ', not here' }[status as 'missing']
  const judged = ours ?? `, here ${status}: ${rule ?? 'see hansa explain'}`
  return `${eventId} by ${sender}, ${dateText(originServerTs)}${judged}`
}
