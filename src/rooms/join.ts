/**
 * Joining a room: by ourselves if we are in it, else with the help of a server that is.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#joining-rooms
 *
 * @module
 */

import { serverNameOf } from '#protocol/identifiers/common-format.ts'
import type { EventId, RoomId, ServerName } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import { roomVersions } from '#protocol/room-version.ts'
import { checkJoinAnswer, signedJoin } from './join-answer.ts'
import { eventOfTemplate, helpersOf, helpOfOne } from './own-membership.ts'
import type { RoomParts } from './parts.ts'
import { receiveFilled } from './receive-filled.ts'
import { FederationError } from './remote-servers.ts'
import { joinPermit } from './restricted-join.ts'
import type { Rooms } from './rooms.ts'
import type { StateCompletions } from './state-completions.ts'

export type JoinRequest = Parameters<Rooms['join']>[0]

export type JoinParts = RoomParts & { readonly completions: StateCompletions }

/** What the log says when a room is joined of which most members are not known yet. */
export const joinedPartially = 'a room was joined without most of its members'

/** How long a join waits for all members to be known, so that a small room is there whole at once. */
const wholeStateMs = 200
/**
 * How long another user of ours waits who wants in meanwhile. Then a server is asked that knows whether
 * they are invited, or banned.
 */
const secondJoinWaitMs = 5000

/** Joins through this server if it is in the room, else through one of `via` or of the invite. */
async function join(parts: JoinParts, request: JoinRequest): Promise<EventId> {
  const { rooms, serverName } = parts
  const { roomId, userId } = request
  const membership = await rooms.membership(userId, roomId)
  if (await rooms.isServerInRoom(serverName, roomId)) {
    if (membership?.membership === 'join') return membership.eventId
    const isKnown = await parts.completions.wait(roomId, secondJoinWaitMs)
    const joined = isKnown ? await joinLocally(parts, request) : undefined
    if (joined !== undefined) return joined
  }
  const inviters = membership?.membership === 'invite' ? [serverNameOf(membership.sender)] : []
  const residents = await rooms.serversInRoom(roomId)
  // Who invited is most likely to let in.
  const helpers = helpersOf(parts, roomId, [...inviters, ...request.via, ...residents])
  return await helpOfOne(
    parts,
    helpers,
    async (helper) => await joinThrough(parts, helper, request),
  )
}

/**
 * Joins a room that we are in. `undefined` if only another server can let the user in: one that has
 * somebody who may invite, or that knows the rooms whose members are let in.
 */
async function joinLocally(parts: RoomParts, request: JoinRequest): Promise<EventId | undefined> {
  const { rooms, engine } = parts
  const { roomId, userId } = request
  const version = await rooms.version(roomId)
  const state = await rooms.currentState(roomId)
  if (version === undefined || state === undefined) return undefined
  const permit = await joinPermit(parts, { roomId, version, state }, userId)
  const { join_authorised_via_users_server: _notTheirs, ...content } = request.content
  const join = (more: JsonObject) =>
    engine.send(roomId, {
      sender: userId,
      type: 'm.room.member',
      state_key: userId,
      content: { ...content, ...more, membership: 'join' },
    })
  switch (permit.permit) {
    case 'unable-to-grant':
    case 'unable-to-authorise':
      return undefined
    case 'granted':
      return await join({ join_authorised_via_users_server: permit.authoriser })
    case 'not-needed':
      return await join({})
    case 'refused':
      throw new MatrixError(
        403,
        'M_FORBIDDEN',
        'You may not join this room: you are not in a room whose members may.',
      )
  }
}

/** One attempt with one resident server. */
async function joinThrough(
  parts: JoinParts,
  helper: ServerName,
  { roomId, userId, content }: JoinRequest,
): Promise<EventId> {
  const { remoteServers, engine, rooms, serverName } = parts
  const versions = [...roomVersions.keys()]
  const template = await remoteServers.makeJoin(helper, { roomId, userId, versions })
  const wanted = { roomId, userId, membership: 'join', content } as const
  const event = eventOfTemplate(parts, template, helper, wanted)
  const { event_id: eventId, bytes } = event
  const answer = await remoteServers.sendJoin(helper, { roomId, eventId, event: bytes })
  if (await rooms.isServerInRoom(serverName, roomId)) {
    const signed = await signedJoin(parts, { from: helper, event, answer })
    return await receiveFilled(parts, roomId, signed, { origin: helper })
  }
  const room = await checkJoinAnswer(parts, { from: helper, template, event, answer })
  const verdict = await engine.importRoom(room, helper)
  if (!verdict.allowed) {
    throw new FederationError(
      helper,
      'bad-answer',
      `The room as ${helper} gave it does not let our own user in: ${verdict.rule}.`,
    )
  }
  if (room.partial !== undefined) {
    parts.log.info(joinedPartially, { roomId, from: helper, servers: room.partial.servers.length })
  }
  // Also where this answer left nothing out, but an earlier one did, before we left.
  if ((await rooms.partialState(roomId)) !== undefined) {
    parts.completions.start(roomId)
    await parts.completions.wait(roomId, wholeStateMs)
  }
  return eventId
}

/** Joins of one room happen one after the other: the second finds the first one's room. */
export interface Joins {
  join(request: JoinRequest): Promise<EventId>
  /** Resolves when no join of the room is under way any more, but at the latest after `limitMs`. */
  quiet(roomId: RoomId, limitMs: number): Promise<void>
}

export function createJoins(parts: JoinParts): Joins {
  const underWay = new Map<RoomId, Promise<unknown>>()
  return {
    join: async (request) => {
      const { roomId } = request
      const before = underWay.get(roomId)
      const joining = (before ?? Promise.resolve()).then(() => join(parts, request))
      const over = joining.then(ignore, ignore)
      underWay.set(roomId, over)
      void over.then(() => {
        if (underWay.get(roomId) === over) underWay.delete(roomId)
      })
      return await joining
    },
    quiet: async (roomId, limitMs) => {
      const joining = underWay.get(roomId)
      if (joining === undefined) return
      const enough = new AbortController()
      const limit = parts.clock.sleep(limitMs, enough.signal).catch(ignore)
      await Promise.race([joining, limit])
      enough.abort()
    },
  }
}

function ignore(): void {}
