/**
 * What an administrator is shown of a room in which branches have met: `getRoomGraph`.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { getRoomGraph } from '../src/endpoints/admin/rooms.ts'
import type { ResponseOf } from '../src/http/endpoint.ts'
import type { RoomId } from '../src/protocol/identifiers/ids.ts'
import type { TestServer } from './federation-world.ts'
import { askAdmin, forkedRoom } from './forked-room.ts'

type Graph = ResponseOf<typeof getRoomGraph>

async function ask(server: TestServer, roomId: string, { query = '', token = 'root' } = {}) {
  const target = `rooms/${encodeURIComponent(roomId)}/graph${query}`
  const { status, body } = await askAdmin(server, target, { token })
  return { status, errcode: body.errcode, graph: body as unknown as Graph }
}

for (const version of ['1', '11', '12']) {
  test(`version ${version}: the graph says what was refused, and by which rule`, async () => {
    const { a, b, roomId, byBob, demotion, byAlice, merging } = await forkedRoom(version)
    const rule = "the sender's power level is too low for the event type"

    const { status, graph } = await ask(a, roomId)
    assert.equal(status, 200)
    assert.equal(graph.room_version, version)
    assert.deepEqual(graph.forward_extremities, [merging])
    const statuses = new Map(graph.events.map((event) => [event.event_id, event]))
    assert.deepEqual(
      [statuses.get(byBob)?.status, statuses.get(byBob)?.rule],
      ['soft_failed', rule],
    )
    assert.equal(statuses.get(merging)?.status, 'accepted')
    assert.equal(statuses.get(merging)?.rule, undefined)
    const first = graph.events[0]?.pdu as { type: string }
    assert.equal(first.type, 'm.room.create')

    // Both servers resolve the same states, so they tell the same story.
    const [meeting, ...others] = graph.meetings.filter(({ before }) => before === merging)
    assert.ok(meeting)
    assert.deepEqual(others, [])
    const { graph: onB } = await ask(b, roomId)
    assert.deepEqual(
      onB.meetings.find(({ before }) => before === merging),
      meeting,
    )
    const at = (type: string) => meeting.conflicts.find((conflict) => conflict.type === type)
    assert.equal(at('m.room.topic')?.winner, byAlice)
    assert.deepEqual([...(at('m.room.topic')?.candidates ?? [])].sort(), [byAlice, byBob].sort())
    assert.equal(at('m.room.power_levels')?.winner, demotion)
    const decisions = new Map(meeting.decisions.map((one) => [one.event_id, one]))
    assert.equal(decisions.get(demotion)?.allowed, true)
    assert.equal(decisions.get(byAlice)?.allowed, true)
    // Version 1 tries the topic of most depth first, and that is Alice's.
    if (version !== '1') assert.equal(decisions.get(byBob)?.rule, rule)
    const basis = decisions.get(demotion)
    if (version !== '1') {
      assert.deepEqual(
        [basis?.list, basis?.sender_level],
        ['power', version === '12' ? 'creator' : 100],
      )
    }
  })
}

test('a graph is followed back from the event that is asked for, as far as is asked for', async () => {
  const { a, roomId, byBob, demotion } = await forkedRoom('11')
  const { graph } = await ask(a, roomId, { query: `?from=${encodeURIComponent(demotion)}&limit=2` })
  // What was refused at that depth comes along, though nothing leads to it.
  const [before, last, refused] = graph.events
  assert.equal(graph.events.length, 3)
  assert.equal(refused?.event_id, byBob)
  assert.equal(last?.event_id, demotion)
  assert.deepEqual(last?.prev_events, [before?.event_id])
})

test('only administrators are shown a graph, and only of rooms there are', async () => {
  const { a, roomId } = await forkedRoom('11')
  const refusal = async (room: string, token: string) => {
    const { status, errcode } = await ask(a, room, { token })
    return `${status} ${errcode}`
  }
  assert.equal(await refusal(roomId, ''), '401 M_MISSING_TOKEN')
  assert.equal(await refusal(roomId, 'alice'), '403 M_FORBIDDEN')
  assert.equal(await refusal('!other:a.test' as RoomId, 'root'), '404 M_NOT_FOUND')
})
