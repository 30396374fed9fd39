/**
 * What people do with the keys of their devices, and what must hold of that in the end: no one-time key
 * was given to two, and who knows devices of others was told of each change.
 *
 * @module
 */

import type { SeededRandom } from '../../src/io/simulated/simulated-random.ts'
import type { SimulatedClient } from './client.ts'
import { count, type Run, type SimulatedRoom } from './run.ts'
import type { SimulatedServer } from './simulated-server.ts'

type Act = (run: Run, client: SimulatedClient, other: SimulatedClient) => Promise<void>

/** Some of them stand here more than once: they are done more often. */
const acts: readonly (readonly [what: string, act: Act])[] = [
  ...Array<[string, Act]>(3).fill([
    'devices asked for',
    (_, { keys }, other) => keys.query([other]),
  ]),
  ...Array<[string, Act]>(2).fill(['keys uploaded', (_, { keys }) => keys.upload()]),
  ...Array<[string, Act]>(2).fill([
    'key claimed',
    async (run, { keys }, other) => {
      run.claimedKeys.push(...(await keys.claim(other)))
    },
  ]),
  [
    'device renamed',
    async (run, { keys }) => {
      run.deviceNames += 1
      await keys.renameDevice(`name ${run.deviceNames}`)
    },
  ],
  ['device added', (_, { keys }) => keys.addDevice()],
  ['device removed', (_, { keys }) => keys.removeDevice()],
]

/** Draws something to do, and what it is called. */
export function drawKeyAct(random: SeededRandom): readonly [what: string, act: Act] {
  return random.pick(acts)
}

/** Each one-time key was given to one at most. */
export function keysGivenOnce(run: Run): void {
  const byName = Map.groupBy(run.claimedKeys, ({ name }) => name)
  for (const [name, claims] of byName) {
    count(run, 'keys claimed')
    if (claims.length < 2) continue
    run.problems.push(`the key ${name} was given to ${claims.map(({ by }) => by).join(' and ')}`)
  }
}

/**
 * Who shares an encrypted room with others, has asked once for their devices and was told of no change since
 * then, need not ask again: their server would say the same.
 *
 * And their server says what the others' own server says: it was told of each change, or fetched the list
 * anew after it missed one.
 */
export async function sameDevices(
  run: Run,
  { isEncrypted }: SimulatedRoom,
  sharing: readonly SimulatedClient[],
): Promise<void> {
  const servers = [...new Set(sharing.map(({ server }) => server))]
  const truth = new Map<string, string>()
  for (const server of servers) {
    const own = sharing.filter((client) => client.server === server)
    for (const [userId, devices] of await devicesAt(run, server, own, own)) {
      truth.set(userId, devices)
    }
  }
  for (const server of servers) {
    const told = await devicesAt(run, server, sharing, sharing)
    for (const { userId } of sharing) {
      count(run, 'devices compared')
      if (told.get(userId) !== truth.get(userId)) {
        run.problems.push(
          `${server.name} holds ${told.get(userId)} for devices of ${userId}, not ${truth.get(userId)}`,
        )
      }
    }
    for (const client of isEncrypted ? sharing : []) {
      if (client.server === server) await knowsDevices(run, client, told)
    }
  }
}

async function knowsDevices(
  run: Run,
  client: SimulatedClient,
  told: ReadonlyMap<string, string>,
): Promise<void> {
  await run.world.time.await(client.sync({ limit: 5 }))
  for (const [userId, devices] of told) {
    const known = client.keys.known(userId)
    if (known === undefined || client.userId === userId) continue
    count(run, 'known devices compared')
    if (known === devices) continue
    run.problems.push(
      `${client.userId} was not told of a change: ${userId} has ${known}, not ${devices}`,
    )
  }
}

/** What a server says of the devices of some users to one of its own. */
async function devicesAt(
  run: Run,
  server: SimulatedServer,
  sharing: readonly SimulatedClient[],
  of: readonly SimulatedClient[],
): Promise<Map<string, string>> {
  const asker = sharing.find((client) => client.server === server)
  if (asker === undefined) return new Map()
  return await run.world.time.await(asker.keys.devicesOf(of.map(({ userId }) => userId)))
}
