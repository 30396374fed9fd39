/**
 * History that a client pages back through, of a room that was long before the server came to it: each
 * page is fetched from another server, judged and stored before it is shown.
 *
 * @module
 */

import type { Client } from '../../test/rig/client.ts'
import type { PeerServer } from '../peer/peer-server.ts'
import {
  type Bench,
  measureEvents,
  repeatExchange,
  type Sample,
  type Workload,
} from '../workload.ts'

export const backfill: Workload = {
  name: 'backfill',
  about: 'events of history that a client pages back through, fetched from another server',
  run: (bench) =>
    repeatExchange(bench, {
      user: 'history-reader',
      events: { hansa: 5000, synapse: 500 },
      warmUp: 0.1,
      times: { hansa: 3, synapse: 3 },
      run: pageBack,
    }),
}

async function pageBack(
  bench: Bench,
  { client, peer, events }: { client: Client; peer: PeerServer; events: number },
): Promise<Sample> {
  const room = peer.createRoom(bench.version)
  const said = Array.from({ length: events }, () => room.addMessage().event_id)
  await client.join(room.roomId, [peer.serverName])
  const seen = new Set<string>()
  const sample = await measureEvents(bench, events, async () => {
    // Our own join is the newest.
    for (const { event_id } of await client.history(room.roomId, events + 1)) seen.add(event_id)
  })
  const lost = said.filter((eventId) => !seen.has(eventId))
  if (lost.length > 0) throw new Error(`${lost.length} of ${events} events are not there`)
  await client.leave(room.roomId)
  peer.forgetRoom(room.roomId)
  return sample
}
