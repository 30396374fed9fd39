/**
 * A server that lies: it signs an event which the room does not allow, and sends it to all others as if
 * it had been accepted at home.
 *
 * @module
 */

import { selectAuthEvents } from '../../src/protocol/auth-rules/auth-events.ts'
import { authStateOf } from '../../src/protocol/auth-rules/auth-state.ts'
import { checkAuthRules } from '../../src/protocol/auth-rules/check.ts'
import { buildPdu, referenceTo } from '../../src/protocol/build-pdu.ts'
import type { EventId, RoomId, ServerName, UserId } from '../../src/protocol/identifiers/ids.ts'
import type { JsonObject } from '../../src/protocol/json.ts'
import type { Pdu } from '../../src/protocol/pdu.ts'
import { signedRequest } from '../signed-request.ts'
import type { SimulatedClient } from './client.ts'
import { extremitiesOf } from './held-rooms.ts'
import { count, type Run } from './run.ts'
import type { SimulatedServer } from './world.ts'

interface Forgery {
  readonly client: SimulatedClient
  readonly roomId: string
  readonly other: SimulatedClient
}

/** Sends the others something that they must reject, unless it happens to be allowed. */
export async function forge(run: Run, forgery: Forgery): Promise<void> {
  const { server } = forgery.client
  const pdu = server.isUp ? await forgedPdu(run, forgery) : undefined
  if (pdu === undefined) return
  count(run, 'forgery')
  run.forged.push({ roomId: forgery.roomId, eventId: pdu.event_id })
  const others = run.world.servers.filter((one) => one !== server)
  await Promise.all(others.map((other) => sendTo(server, other, pdu)))
}

async function forgedPdu(run: Run, forgery: Forgery): Promise<Pdu | undefined> {
  const { server, userId } = forgery.client
  const { rooms, signer, clock } = server.running.server
  const roomId = forgery.roomId as RoomId
  const [version, state] = [await rooms.version(roomId), await rooms.currentState(roomId)]
  if (version === undefined || state === undefined) return undefined
  const subject = { version, sender: userId as UserId, ...claim(run, forgery) }
  const events = await state.events()
  const auth = selectAuthEvents(subject, authStateOf(events))
  const ends = (await extremitiesOf(server, roomId)).slice(0, 20) as EventId[]
  const prevs = (await rooms.events(roomId, ends)).map(({ pdu }) => pdu)
  const inEvent = version.eventId === 'in-event'
  const built = buildPdu(
    version,
    {
      ...(inEvent ? { event_id: `$forged${run.forged.length}:${signer.serverName}` } : {}),
      room_id: roomId,
      ...subject,
      depth: Math.max(...prevs.map(({ depth }) => depth)) + 1,
      origin_server_ts: clock.now(),
      prev_events: prevs.map(referenceTo),
      auth_events: auth.map(referenceTo),
    },
    signer,
  )
  if (!built.ok) return undefined
  const create = events.filter(({ type }) => type === 'm.room.create')
  const verdict = checkAuthRules(built.pdu, authStateOf([...create, ...auth]))
  return verdict.allowed ? undefined : built.pdu
}

function claim(
  run: Run,
  { client, other }: Forgery,
): { type: string; state_key: string; content: JsonObject } {
  const users = { [client.userId]: 100 }
  return run.world.random.pick([
    { type: 'm.room.power_levels', state_key: '', content: { users } },
    { type: 'm.room.join_rules', state_key: '', content: { join_rule: 'public' } },
    { type: 'm.room.topic', state_key: '', content: { topic: 'forged' } },
    { type: 'm.room.member', state_key: other.userId, content: { membership: 'ban' } },
    { type: 'm.room.member', state_key: other.userId, content: { membership: 'join' } },
    { type: 'm.room.name', state_key: client.userId, content: { name: 'forged' } },
  ])
}

async function sendTo(from: SimulatedServer, to: SimulatedServer, pdu: Pdu): Promise<void> {
  const { signer, clock } = from.running.server
  const head = JSON.stringify({ origin: signer.serverName, origin_server_ts: clock.now() })
  const text = `${head.slice(0, -1)},"pdus":[${new TextDecoder().decode(pdu.bytes)}]}`
  const target = `/_matrix/federation/v1/send/forged${pdu.event_id.slice(1, 9)}`
  const client = from.world.network.client(from.address, from.world.time.clock())
  const content = new TextEncoder().encode(text)
  await signedRequest(client, signer, { to: to.name as ServerName, method: 'PUT', target, content })
}
