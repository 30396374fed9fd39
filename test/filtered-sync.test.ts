/**
 * A change of state on a branch is not lost by a filter that leaves out what merged the branches: by the
 * state and the timeline of an answer, a client knows what the state of the room is.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { roomVersions } from '../src/protocol/room-version.ts'
import { DeviceWorld } from './device-world.ts'
import { ScriptedPeer } from './scripted-peer/scripted-peer.ts'

interface SyncEvent {
  readonly event_id: string
  readonly type: string
  readonly content: { readonly name?: string }
}

const name = 'the name of the branch'

/** `inTimeline`: whether the name may be where the filter shows it in its order, and not in the state. */
const filters: [what: string, timeline: object, inTimeline: boolean][] = [
  ['what merged', { not_types: ['merging'], limit: 1 }, true],
  ['what merged, and names', { not_types: ['merging', 'm.room.name'], limit: 1 }, false],
  ['all but messages', { types: ['m.room.message'], limit: 1 }, false],
  ['all that Bob said', { not_senders: ['@u:p.test:8448'], limit: 1 }, false],
  ['everything', { types: [], limit: 1 }, false],
]

for (const id of ['6', '11', '12']) {
  test(`version ${id}: a name given on a branch is known whatever the filter leaves out`, async (t) => {
    const world = new DeviceWorld(t)
    const a = await world.world.addServer('a')
    const alice = await world.register(a, 'alice')
    const peer = await ScriptedPeer.inWorld(world.world, 'p')
    const room = peer.createRoom(roomVersions.get(id) ?? assert.fail())
    const path = `/rooms/${encodeURIComponent(room.roomId)}`
    await alice.post(`/join/${encodeURIComponent(room.roomId)}?via=${peer.name}`)
    let sent = 0
    const say = async (type: string, body: string) => {
      sent += 1
      const content = { msgtype: 'm.text', body }
      return (await alice.put(`${path}/send/${type}/${sent}`, content)).event_id as string
    }
    const since = (await alice.sync()).next_batch
    await say('m.room.message', 'before the branch')
    await world.world.settle(10_000)
    const branch = room.draft(peer.user('u'), 'm.room.name', { name }, { stateKey: '' })
    await say('m.room.message', 'beside it')
    const last = await say('m.room.message', 'beside it, too')
    const named = room.add(branch)
    await peer.transaction(a.name as never, { pdus: [named] })
    await world.world.settle(10_000)
    const merging = await say('merging', 'both')
    const stored = await a.running.server.rooms.event(room.roomId, merging as never)
    assert.deepEqual(stored?.pdu.prev_events.toSorted(), [last, named.event_id].toSorted())

    for (const [what, timeline, inTimeline] of filters) {
      for (const from of ['', `&since=${since}`]) {
        const filter = encodeURIComponent(JSON.stringify({ room: { timeline } }))
        const { rooms } = await alice.get(`/sync?timeout=0&filter=${filter}${from}`)
        const shown = rooms.join[room.roomId]
        const [state, news]: SyncEvent[][] = [shown.state.events, shown.timeline.events]
        const label = `${what}, ${from === '' ? 'at first' : 'later'}`
        const names = [...(state ?? []), ...(news ?? [])].filter(
          ({ type }) => type === 'm.room.name',
        )
        assert.equal(names.at(-1)?.content.name, name, label)
        const isInState = state?.some(({ event_id }) => event_id === named.event_id)
        if (!inTimeline) assert.ok(isInState, label)
      }
    }
  })
}
