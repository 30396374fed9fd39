/**
 * Redactions by a server that is in a room with us: of what they may not redact, and of what must be
 * nowhere any more.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject } from '../src/protocol/json.ts'
import type { Pdu } from '../src/protocol/pdu.ts'
import { roomVersions } from '../src/protocol/room-version.ts'
import { rowsOf } from './ingress/cells.ts'
import { type RawEvent, sealed, textOf } from './scripted-peer/forged-event.ts'
import { sharedRoom } from './scripted-peer/shared-room.ts'

const versionsToTry = ['6', '10', '11', '12'].map((id) => roomVersions.get(id) ?? assert.fail())
const newest = roomVersions.get('12') ?? assert.fail()
const v11 = roomVersions.get('11') ?? assert.fail()

test('redactions: of another room, of the create event, of themselves, in a circle', async () => {
  for (const version of [roomVersions.get('1') ?? assert.fail(), v11, newest]) {
    const { world, a, peer, room, u, alice } = await sharedRoom(version)
    const other = await a.createRoom(alice, version)
    const there = await a.say(alice, other, 'there')
    const ours = await a.say(alice, room.roomId, 'ours')
    const [create] = room.state()
    const redact = (target: string, more: RawEvent = {}) => {
      const content = version.redactsInContent ? { redacts: target } : {}
      const beside = version.redactsInContent ? {} : { redacts: target }
      const draft = room.draft(u, 'm.room.redaction', content as JsonObject)
      return textOf(sealed(version, { ...draft, ...beside, ...more }, peer.signer))
    }
    const name = (id: string) =>
      version.eventId === 'in-event' ? { event_id: `$${id}:${peer.name}` } : {}
    const [x, y, z] = [`$x:${peer.name}`, `$y:${peer.name}`, `$z:${peer.name}`]
    const pdus = [
      redact(there, name('r1')),
      redact(create?.event_id ?? '', name('r2')),
      ...(version.eventId === 'in-event'
        ? [redact(x, name('x')), redact(z, name('y')), redact(y, name('z'))]
        : []),
    ]
    await peer.transaction(a.name, { pdus })
    await world.settle(5000)
    assert.deepEqual(await a.messages(other), ['there'], version.id)
    const first = (await a.rooms.currentState(room.roomId))?.eventId('m.room.create', '')
    const stored = first && (await a.rooms.event(room.roomId, first))
    assert.equal(stored?.pdu.content.room_version, version.id)
    assert.equal((await a.rooms.event(room.roomId, ours))?.pdu.content.body, 'ours')
    await a.say(alice, room.roomId, 'and on')
    assert.deepEqual(a.errors, [], version.id)
  }
})

for (const version of versionsToTry) {
  test(`version ${version.id}: of what was redacted, the text is nowhere any more`, async () => {
    const { world, a, peer, room, u } = await sharedRoom(version)
    const secret = 'canary that was said by mistake'
    const early = room.add(room.draft(u, 'm.room.message', { body: secret }))
    const late = room.add(room.draft(u, 'm.room.message', { body: secret }))
    const state = room.add(room.draft(u, 'm.room.topic', { topic: secret }, { stateKey: '' }))
    await peer.transaction(a.name, { pdus: [early, state] })
    const redact = (target: Pdu) => {
      const content = version.redactsInContent ? { redacts: target.event_id } : {}
      const draft = room.draft(u, 'm.room.redaction', content)
      return room.add({
        ...draft,
        ...(version.redactsInContent ? {} : { redacts: target.event_id }),
      })
    }
    // One before its target comes, two after.
    await peer.transaction(a.name, { pdus: [redact(early), redact(state)] })
    await world.settle(1000)
    await peer.transaction(a.name, { pdus: [redact(late)] })
    await world.settle(5000)
    await peer.transaction(a.name, { pdus: [late] })
    await world.settle(5000)
    for (const pdu of [early, late, state]) {
      const stored = await a.rooms.event(room.roomId, pdu.event_id)
      assert.deepEqual([stored?.status, stored?.pdu.content], ['accepted', {}])
    }
    for (const [table, rows] of await rowsOf(a.life.db)) assert.ok(!rows.includes('canary'), table)
    assert.deepEqual(a.errors, [])
  })
}
