/**
 * All attacks, and those by what is asked.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { gzipSync } from 'node:zlib'
import { flood, pause, type Statuses } from './arena.ts'
import { floodOfHandshakes, slowClients } from './connection-scenarios.ts'
import { images, parts } from './media-scenarios.ts'
import { authChains, floodOfEvents, forks, gaps, invites, largeChains } from './room-scenarios.ts'
import type { Attack, Scenario } from './scenario.ts'

/** How many requests the flood has under way at the same time. */
const parallel = 50

const floodOfQuestions: Scenario = {
  name: 'questions',
  what: 'one server asks for profiles, keys, joins and history, 50 requests at a time',
  run: ({ arena, attacker: { peer, ask }, victim, room, durationMs }) => {
    const id = encodeURIComponent(victim.userId)
    const roomId = encodeURIComponent(room.roomId)
    const path = '/_matrix/federation/v1'
    const keys = Buffer.from(JSON.stringify({ device_keys: { [victim.userId]: [] } }))
    const asked = [
      { method: 'GET', target: `${path}/query/profile?user_id=${id}` },
      { method: 'POST', target: `${path}/user/keys/query`, content: keys },
      { method: 'GET', target: `${path}/make_join/${roomId}/${peer.user('u')}?ver=11` },
      { method: 'GET', target: `${path}/backfill/${roomId}?v=${room.ends[0]}&limit=100` },
      { method: 'GET', target: `${path}/publicRooms` },
    ]
    return flood(durationMs, parallel, (at) =>
      ask({ to: arena.name, ...(asked[at % asked.length] ?? assert.fail()) }),
    )
  },
}

const pressedRequests: Scenario = {
  name: 'gzip',
  what: 'transactions of 10 GB pressed to 10 MB, five at a time',
  run: ({ arena, attacker: { ask }, durationMs }) => {
    // A press over the press of zeros is as good as ten times as many.
    const content = gzipSync(gzipSync(Buffer.alloc(1_000_000_000), { level: 1 }), { level: 0 })
    return flood(durationMs, 5, (at) =>
      ask({
        to: arena.name,
        method: 'PUT',
        target: `/_matrix/federation/v1/send/gzip${at}`,
        content,
      }),
    )
  },
}

export const scenarios: readonly Scenario[] = [
  { name: 'nothing', what: 'the honest traffic alone', run: quiet, isOpen: true },
  floodOfQuestions,
  floodOfEvents,
  slowClients,
  floodOfHandshakes,
  forks,
  authChains,
  largeChains,
  gaps,
  invites,
  parts,
  pressedRequests,
  images,
]

async function quiet({ durationMs }: Attack): Promise<Statuses> {
  await pause(durationMs)
  return new Map()
}
