/**
 * Puts the rooms together: the engine, and what its flows need of other servers.
 *
 * @module
 */

import type { RoomId, ServerName } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Pdu } from '#protocol/pdu.ts'
import type { Database } from '#storage/database.ts'
import { allRooms } from '#storage/rooms.ts'
import { Avoidance } from './avoidance.ts'
import { fillHistory, oneAtATime } from './backfill.ts'
import type { Blocks } from './blocks.ts'
import { catchUp } from './catch-up.ts'
import type { LocalRooms } from './create-engine.ts'
import { endFromOutside } from './end-from-outside.ts'
import { FetchQuota } from './fetch-budget.ts'
import { fetchByTime } from './fetch-by-time.ts'
import { healGaps } from './heal-gaps.ts'
import { invite } from './invite.ts'
import { InvitesUnderWay } from './invites-under-way.ts'
import { createJoins, type Joins } from './join.ts'
import { knock } from './knock.ts'
import { leave } from './leave.ts'
import { createGapFiller } from './missing-events.ts'
import type { RoomParts } from './parts.ts'
import type { RemoteServers } from './remote-servers.ts'
import type { Arrivals } from './resident/arrivals.ts'
import type { CanBeInvited } from './resident/incoming-invite.ts'
import { createRoomsForServers, type RoomsForServers } from './resident/rooms-for-servers.ts'
import type { LocalEvent, Rooms } from './rooms.ts'
import { StateCompletions } from './state-completions.ts'
import { type IsThirdPartyKeyValid, redeemThirdPartyInvite } from './third-party-invite.ts'

export interface FederatedRooms {
  readonly rooms: Rooms
  readonly roomsForServers: RoomsForServers
  readonly joins: Joins
  /**
   * Goes on with what was under way before a restart, then asks other servers what was said since.
   * Resolves when all is durable; never rejects for what other servers do.
   */
  resume(): Promise<void>
}

export function createRooms(
  local: LocalRooms,
  needs: Omit<RoomParts, 'engine' | 'rooms' | 'gapFiller' | 'invites' | 'untold'> & {
    readonly db: Database
    /** Rooms that nobody joins; none, if it is not said. */
    readonly blocks?: Blocks | undefined
    readonly canBeInvited: CanBeInvited
    readonly isThirdPartyKeyValid: IsThirdPartyKeyValid
    /** What limits invites and knocks of other servers' users; nothing, if it is not said. */
    readonly arrivals?: Arrivals | undefined
    /** Signs as the policy server of a room, if this server is one. Throws a `MatrixError`. */
    readonly signAsPolicyServer: (pdu: Pdu) => Promise<string>
  },
): FederatedRooms {
  const { db, blocks, canBeInvited, isThirdPartyKeyValid, arrivals, signAsPolicyServer, ...rest } =
    needs
  const { engine, setGapFiller, setPolicyAsker, resume, ...ownRooms } = local
  const avoidance = new Avoidance(needs.clock)
  const invites = new InvitesUnderWay(needs.clock)
  const untold = new Set<RoomId>()
  const withoutFiller = { ...rest, engine, rooms: local, invites, untold }
  const fill: Rooms['fillHistory'] = oneAtATime((roomId, before, limit) =>
    fillHistory(parts, avoidance, { roomId, before, limit }),
  )
  const gapFiller = createGapFiller(withoutFiller, {
    avoidance,
    quota: new FetchQuota(needs.clock),
    fillHistory: fill,
  })
  setGapFiller(gapFiller)
  setPolicyAsker(async (via, pdu) =>
    via === needs.serverName
      ? await signAsPolicyServer(pdu)
      : await signatureOf(needs.remoteServers, via, pdu),
  )
  const parts: RoomParts = { ...withoutFiller, gapFiller }
  const completions = new StateCompletions(parts)
  local.onCommit((commit) => completions.heard(commit))
  const joins = createJoins({ ...parts, completions })
  const closing = new AbortController()
  healGaps({ ...parts, rooms: { ...local, fillHistory: fill }, signal: closing.signal })
  return {
    rooms: {
      ...ownRooms,
      join: async (request) => {
        blocks?.checkRoom(request.roomId)
        return await joins.join(request)
      },
      send: async (roomId, event) => {
        await knowMember(completions, local, roomId, event)
        return await ownRooms.send(roomId, event)
      },
      completeState: (roomId) => completions.start(roomId),
      wholeState: (roomId, limitMs) => completions.wait(roomId, limitMs),
      leave: (request) => leave(parts, request),
      knock: async (request) => {
        blocks?.checkRoom(request.roomId)
        return await knock(parts, request)
      },
      invite: async (request) => {
        const { roomId, target } = request
        const { sender } = request
        const event = { type: 'm.room.member', state_key: target, sender, content: {} }
        await knowMember(completions, local, roomId, event)
        return await invite(parts, request)
      },
      redeemThirdPartyInvite: (request) =>
        redeemThirdPartyInvite({ ...parts, isThirdPartyKeyValid }, request),
      endFromOutside: (origin, pdu) => endFromOutside(parts, origin, pdu),
      fetchByTime: (roomId, search) => fetchByTime(parts, avoidance, roomId, search),
      fillHistory: fill,
      close: async () => {
        closing.abort()
        completions.end()
        await ownRooms.close()
      },
    },
    roomsForServers: createRoomsForServers(parts, { canBeInvited, isThirdPartyKeyValid, arrivals }),
    joins,
    resume: async () => {
      await resume()
      await completions.resume()
      const roomIds = (await allRooms(db)).filter((roomId) => !blocks?.isBlocked(roomId))
      await catchUp(parts, roomIds, closing.signal)
    },
  }
}

/** How long a change of somebody's membership waits for the room's state to be known whole. */
const memberWaitMs = 10_000

/**
 * Waits, for a bounded time, if an event is about a member of whom a room with partial state says
 * nothing: they may be in it, or banned. A ban is right whoever it meets. Throws a `MatrixError` 503 if
 * it is still not known: of the others, all servers might refuse what we would have taken.
 */
async function knowMember(
  completions: StateCompletions,
  rooms: Pick<Rooms, 'partialState' | 'currentState'>,
  roomId: RoomId,
  event: Pick<LocalEvent, 'type' | 'sender' | 'state_key' | 'content'>,
): Promise<void> {
  const { type, sender, state_key: target, content } = event
  if (type !== 'm.room.member' || target === undefined || target === sender) return
  if (content.membership === 'ban') return
  if ((await rooms.partialState(roomId)) === undefined) return
  const state = await rooms.currentState(roomId)
  if (state?.eventId('m.room.member', target) !== undefined) return
  if (await completions.wait(roomId, memberWaitMs)) return
  const problem = 'It is not known here yet who is in the room. Try again in a while.'
  throw new MatrixError(503, 'M_UNKNOWN', problem)
}

/** The signature of another server. One that gives none refuses the event, without a reason. */
async function signatureOf(
  remoteServers: RemoteServers,
  via: ServerName,
  { bytes }: Pdu,
): Promise<string> {
  const signature = await remoteServers.askPolicyServer(via, { event: bytes })
  if (signature !== undefined) return signature
  throw new MatrixError(403, 'M_FORBIDDEN', `The policy server ${via} refuses the event.`)
}
