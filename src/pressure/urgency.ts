/**
 * What is asked of this server, by how much it can wait, and by what it needs of the disk.
 *
 * @module
 */

import type { Endpoint } from '#http/endpoint.ts'

/**
 * Classes of requests, the first to be shed first: history, searches and lists; then joins; then keys,
 * devices and profiles; then transactions of events, and what is asked for to take them. Last, and never shed, what our own users do, and
 * administrators.
 */
export const classes = ['history', 'joins', 'keys', 'transactions', 'users'] as const
export type UrgencyClass = (typeof classes)[number]

type Asked = Pick<Endpoint, 'operationId' | 'auth' | 'method' | 'path'>

/** Operations of servers; all others of theirs are `keys`. */
const ofServers = new Map<string, UrgencyClass>([
  ['backfillRoom', 'history'],
  ['getEventByTimestamp', 'history'],
  ['getPublicRooms', 'history'],
  ['queryPublicRooms', 'history'],
  ['getSpaceHierarchy', 'history'],
  ['getContent', 'history'],
  ['getContentThumbnail', 'history'],
  ['makeJoin', 'joins'],
  ['sendJoinV1', 'joins'],
  ['sendJoinV2', 'joins'],
  ['makeKnock', 'joins'],
  ['sendKnock', 'joins'],
  ['sendInviteV1', 'joins'],
  ['sendInviteV2', 'joins'],
  ['exchangeThirdPartyInvite', 'joins'],
  ['sendTransaction', 'transactions'],
  // What a server asks for to be able to take what we sent it: Synapse gives up an event for good if it is
  // refused what the event follows on.
  ['getMissingPreviousEvents', 'transactions'],
  ['getRoomState', 'transactions'],
  ['getRoomStateIds', 'transactions'],
  ['getEvent', 'transactions'],
  ['getEventAuth', 'transactions'],
  ['askPolicyServerToSign', 'transactions'],
])

/** Operations of users and of who is nobody; all others of theirs are `users`. */
const ofUsers = new Map<string, UrgencyClass>([
  ['getPublicRooms', 'history'],
  ['queryPublicRooms', 'history'],
  ['getSpaceHierarchy', 'history'],
  ['getRoomSummary', 'history'],
  ['getEventByTimestamp', 'history'],
  ['joinRoom', 'joins'],
  ['joinRoomById', 'joins'],
  ['knockRoom', 'joins'],
  ['getServerKey', 'keys'],
  ['perspectivesKeyQuery', 'keys'],
  ['bulkPerspectivesKeyQuery', 'keys'],
])

export function classOf({ operationId, auth }: Asked): UrgencyClass {
  if (auth === 'server') return ofServers.get(operationId) ?? 'keys'
  return ofUsers.get(operationId) ?? 'users'
}

/** Whether it is other servers who ask. */
export function isFederation({ auth, path }: Asked): boolean {
  return auth === 'server' || path.startsWith('/_matrix/key/')
}

/** What can need much of the disk. */
const large: ReadonlySet<string> = new Set([
  'uploadContent',
  'uploadContentToMXC',
  'createContent',
  'joinRoom',
  'joinRoomById',
  'knockRoom',
])

export function isLarge({ operationId }: Asked): boolean {
  return large.has(operationId)
}

/** What is no GET, and yet writes nothing, or gives room rather than taking it. */
const reading: ReadonlySet<string> = new Set([
  'queryKeys',
  'queryPublicRooms',
  'queryUserEncryptionKeys',
  'bulkPerspectivesKeyQuery',
  'getMissingPreviousEvents',
  'logout',
  'logout_all',
])

/** Whether it writes, as far as it is not for administrators, who must be able to help. */
export function isWrite({ operationId, auth, method }: Asked): boolean {
  return method !== 'GET' && auth !== 'admin' && !reading.has(operationId)
}

/** All operations that are named here. */
export const namedOperations: readonly string[] = [
  ...ofServers.keys(),
  ...ofUsers.keys(),
  ...large,
  ...reading,
]
