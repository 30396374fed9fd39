/**
 * Messages to devices that another server pushes, a hundred EDUs a transaction: the clock stops when
 * their device has been given the last one.
 *
 * @module
 */

import type { Client } from '../../test/rig/client.ts'
import type { PeerServer } from '../peer/peer-server.ts'
import { Push, signEdus } from '../peer/transactions.ts'
import {
  type Bench,
  measureEvents,
  repeatExchange,
  type Sample,
  type Workload,
} from '../workload.ts'

export const edus: Workload = {
  name: 'edus',
  about: 'messages to a device, pushed by another server, a hundred EDUs a transaction',
  run: (bench) =>
    repeatExchange(bench, {
      user: 'device-reader',
      events: { hansa: 10_000, synapse: 1000 },
      warmUp: 0.25,
      times: { hansa: 5, synapse: 3 },
      run: pushMessages,
    }),
}

let messages = 0

async function pushMessages(
  bench: Bench,
  { client, peer, events }: { client: Client; peer: PeerServer; events: number },
): Promise<Sample> {
  const { subject, authority } = bench
  const device = await client.deviceId()
  const ids = new Set<string>()
  const edus = Array.from({ length: events }, () => {
    messages += 1
    const id = `m${messages}`
    ids.add(id)
    const content = { id, body: 'lorem ipsum dolor sit amet '.repeat(14) }
    return {
      edu_type: 'm.direct_to_device',
      content: {
        message_id: id,
        sender: `@creator:${peer.serverName}`,
        type: 'org.hansa.bench',
        messages: { [client.userId]: { [device]: content } },
      },
    }
  })
  const transactions = signEdus(peer.signer, subject.serverName, edus)
  const push = new Push(subject.serverName, authority.cert)
  await client.sync()
  const sample = await measureEvents(bench, events, async () => {
    await push.pushAll(transactions)
    await untilGiven(client, ids)
  })
  await push.close()
  return sample
}

/** Reads messages until all are there. What a sync has given is gone with the next one. */
async function untilGiven(client: Client, ids: ReadonlySet<string>): Promise<void> {
  const left = new Set(ids)
  for (let empty = 0; left.size > 0 && empty < 20; ) {
    const { to_device: given } = await client.sync(1000)
    const { events = [] } = (given ?? {}) as { events?: { content: { id: string } }[] }
    for (const { content } of events) left.delete(content.id)
    empty = events.length === 0 ? empty + 1 : 0
  }
  if (left.size > 0) throw new Error(`${left.size} of ${ids.size} messages are lost`)
}
