/**
 * Every route by which an event enters, every way in which it can be wrong, every room version: only
 * what is in order leaves anything in any table, and what came with it is taken in.
 *
 * @module
 */

import { test } from 'node:test'
import { roomVersions } from '../src/protocol/room-version.ts'
import { byBackfill, byEvent, byEventAuth, byMissingEvents, byState } from './ingress/answers.ts'
import { openScene, type Scene } from './ingress/cells.ts'
import {
  byInviteAnswer,
  byJoinAnswer,
  byJoinEvent,
  byStrippedState,
} from './ingress/handshake-answers.ts'
import { byExchange, withMismatches } from './ingress/mismatches.ts'
import { byInvite, byJoinAndLeave, byKnock, bySend } from './ingress/requests.ts'

const routes: Record<string, (scene: Scene) => Promise<readonly unknown[]>> = {
  send: bySend,
  'send_join and send_leave': byJoinAndLeave,
  send_knock: byKnock,
  invite: byInvite,
  'answer to send_join': byJoinAnswer,
  'event of the answer to send_join': byJoinEvent,
  'answer to invite': byInviteAnswer,
  'knock_room_state and invite_room_state': byStrippedState,
  backfill: byBackfill,
  get_missing_events: byMissingEvents,
  event: byEvent,
  state: byState,
  event_auth: byEventAuth,
  exchange_third_party_invite: byExchange,
  'handshakes of parts that do not match': withMismatches,
}

for (const version of roomVersions.values()) {
  for (const [name, route] of Object.entries(routes)) {
    if (name === 'send_knock' && !version.knocking) continue
    if (route === byJoinEvent && !version.restrictedJoins) continue
    test(`version ${version.id}: ${name}`, async (t) => {
      const cells = await route(await openScene(version))
      t.diagnostic(`${cells.length} cells`)
    })
  }
}
