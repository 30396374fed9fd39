/**
 * How often another server may ask: for what no server does that has users and no flaw. A large server
 * asks for many users at once, so bursts are let through.
 *
 * Transactions are limited by how many are worked on at a time, and by what they cost; what is asked for
 * to take our events is not refused before that, since Synapse gives up an event then.
 *
 * @module
 */

import type { RateLimits } from '#http/rate-limit.ts'

/** Each is seen by somebody: invites by who is invited, knocks by who may let in. */
const arriving = { name: 'arriving', perSecond: 1, burst: 100 }
/** Two requests a join, which ends in an event that goes to all servers of the room. */
const joining = { name: 'joining', perSecond: 4, burst: 200 }
/** Who exists, and with which keys; a request for keys is of many users. */
const people = { name: 'people', perSecond: 20, burst: 200 }
/** What is walked or searched for an answer. */
const lists = { name: 'lists', perSecond: 5, burst: 50 }

export const serverRateLimits: RateLimits = {
  byOperation: {
    sendInviteV1: arriving,
    sendInviteV2: arriving,
    exchangeThirdPartyInvite: arriving,
    makeKnock: arriving,
    sendKnock: arriving,
    makeJoin: joining,
    sendJoinV1: joining,
    sendJoinV2: joining,
    queryUserEncryptionKeys: people,
    claimUserEncryptionKeys: { name: 'claims', perSecond: 20, burst: 200 },
    getUserDevices: people,
    queryProfile: people,
    queryRoomDirectory: people,
    getPublicRooms: lists,
    queryPublicRooms: lists,
    getSpaceHierarchy: lists,
    getEventByTimestamp: lists,
    backfillRoom: { name: 'history', perSecond: 5, burst: 100 },
    sendTransaction: 'unlimited',
    getMissingPreviousEvents: 'unlimited',
    getRoomStateIds: 'unlimited',
    getEvent: 'unlimited',
    getEventAuth: 'unlimited',
    askPolicyServerToSign: 'unlimited',
    // Many megabytes each.
    getRoomState: { name: 'state', perSecond: 1, burst: 100 },
  },
  otherwise: { perSecond: 50, burst: 500 },
}
