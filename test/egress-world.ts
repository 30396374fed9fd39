/**
 * A room of one server, and what another one may have to do with it: for tests of what servers read. The
 * room is one that only invited users may join. In all that is secret of it there is a canary.
 *
 * @module
 */

import type { Device, DeviceWorld } from './device-world.ts'
import type { ScriptedPeer } from './scripted-peer/scripted-peer.ts'
import type { SimulatedServer } from './simulation/simulated-server.ts'

export const relations = [
  'never',
  'invited',
  'knocked',
  'joined',
  'left',
  'banned',
  'denied',
] as const
export type Relation = (typeof relations)[number]

/** `none`: the room has no such event, which is as if it were `shared`. */
export const visibilities = ['world_readable', 'shared', 'invited', 'joined', 'none'] as const
export type Visibility = (typeof visibilities)[number]

/** The path of an operation of the server API. */
export const federation = (operation: string, ...ids: string[]) =>
  ['/_matrix/federation/v1', operation, ...ids.map(encodeURIComponent)].join('/')

interface Scene {
  readonly world: DeviceWorld
  readonly a: SimulatedServer
  readonly alice: Device
  readonly peer: ScriptedPeer
}

/** A room that a user of the played server has this relation to, and its last event. */
export async function roomFor(
  { alice, peer, a }: Scene,
  visibility: Visibility,
  relation: Relation,
): Promise<{ roomId: string; eventId: string; userId: string }> {
  const userId = peer.user(`reader.${relation}`)
  const history = { type: 'm.room.history_visibility', content: { history_visibility: visibility } }
  const { room_id: roomId } = await alice.post('/createRoom', {
    name: `canary name`,
    topic: 'canary topic',
    initial_state: visibility === 'none' ? [] : [history],
  })
  const room = `/rooms/${encodeURIComponent(roomId)}`
  const rule = async (join_rule: string) =>
    await alice.put(`${room}/state/m.room.join_rules`, { join_rule })
  const to = a.name as never
  if (relation === 'knocked') {
    await rule('knock')
    await peer.setMembership(to, roomId, userId, 'knock')
    await rule('invite')
  } else if (relation !== 'never') {
    await alice.post(`${room}/invite`, { user_id: userId })
    if (relation !== 'invited') await peer.setMembership(to, roomId, userId, 'join')
  }
  if (relation === 'left') await peer.setMembership(to, roomId, userId, 'leave')
  if (relation === 'banned') await alice.post(`${room}/ban`, { user_id: userId })
  if (relation === 'denied') {
    await alice.put(`${room}/state/m.room.server_acl`, {
      allow: ['*'],
      deny: [peer.name.replace(/:.*/, '').toUpperCase()],
    })
  }
  const message = { msgtype: 'm.text', body: 'canary message' }
  const { event_id: eventId } = await alice.put(`${room}/send/m.room.message/1`, message)
  return { roomId, eventId, userId }
}
