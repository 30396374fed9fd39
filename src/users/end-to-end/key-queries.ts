/**
 * What clients and other servers ask of users' keys, wherever the users are at home.
 *
 * The servers of users from elsewhere are asked side by side, each for as long as the client wants to
 * wait; what some of them do not answer is no reason to keep the rest.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysquery
 *
 * @module
 */

import type { RemoteKeys } from '#federation/user-keys.ts'
import type { Clock } from '#io/clock.ts'
import { Limiter } from '#io/limiter.ts'
import { serverNameOf } from '#protocol/identifiers/common-format.ts'
import type { ServerName, UserId } from '#protocol/identifiers/ids.ts'
import { isJsonObject, type JsonObject } from '#protocol/json.ts'
import { FederationError } from '#rooms/remote-servers.ts'
import type { Rooms } from '#rooms/rooms.ts'
import type { Reader } from '#storage/database.ts'
import type { KeyClaim, LocalKeys } from './device-keys.ts'
import type { RemoteDevices } from './remote-devices.ts'
import { crossSigningKeyFrom, deviceKeysFrom, type UserKeySet } from './remote-lists.ts'
import { signaturesOfOne, userSigningKeyOf } from './shown-keys.ts'

/** 10 seconds is the recommended default. */
const timeoutMsDefault = 10_000
const timeoutMsMax = 60_000
/** How many servers are asked at the same time for one client. */
const serversMax = 200
/** Of how many users of one server lists are fetched at once; the lists of more are fetched later. */
const listsMax = 20

type ByUser<T> = Readonly<Record<UserId, T>>
/** Users with the devices that are asked for: all where the list is empty. */
export type WantedKeys = ReadonlyMap<UserId, readonly string[]>

export interface KeysAnswer {
  readonly device_keys: ByUser<Readonly<Record<string, JsonObject>>>
  readonly master_keys: ByUser<JsonObject>
  readonly self_signing_keys: ByUser<JsonObject>
}

export interface KeyQueryAnswer extends KeysAnswer {
  /** Of the user who asks, if they ask for themselves. */
  readonly user_signing_keys: ByUser<JsonObject>
  /** The servers that could not be reached. */
  readonly failures: Readonly<Record<string, JsonObject>>
}

export type ClaimedKeys = ByUser<Readonly<Record<string, JsonObject>>>

export interface KeyClaimAnswer {
  readonly failures: Readonly<Record<string, JsonObject>>
  readonly one_time_keys: ClaimedKeys
}

export interface KeyQueries {
  /** The keys of users and their devices, as a client of `viewer` is to see them. */
  query(viewer: UserId, wanted: WantedKeys, timeoutMs: number | undefined): Promise<KeyQueryAnswer>
  /** The master keys of users of any server, as far as they can be had now. */
  mastersOf(userIds: readonly UserId[]): Promise<ReadonlyMap<UserId, JsonObject>>
  claim(claims: readonly KeyClaim[], timeoutMs: number | undefined): Promise<KeyClaimAnswer>
  /** The same of this server's own users, as another server is to see them. */
  queryForServer(wanted: WantedKeys): Promise<KeysAnswer>
  claimForServer(claims: readonly KeyClaim[]): Promise<ClaimedKeys>
}

export interface KeyQueryNeeds {
  readonly db: Reader
  readonly serverName: ServerName
  readonly clock: Pick<Clock, 'monotonicMs'>
  readonly rooms: Pick<Rooms, 'joinedRoomsOf'>
  readonly localKeys: Pick<LocalKeys, 'query' | 'claim'>
  readonly remoteKeys: Pick<RemoteKeys, 'queryKeys' | 'claimKeys'>
  readonly remoteDevices: Pick<RemoteDevices, 'known' | 'fetch' | 'fetchSoon'>
}

export function createKeyQueries(needs: KeyQueryNeeds): KeyQueries {
  const { serverName, localKeys } = needs
  const isLocal = (userId: UserId) => serverNameOf(userId) === serverName
  const queryForServer = async (wanted: WantedKeys) => {
    const local = new Map([...wanted].filter(([userId]) => isLocal(userId)))
    return keysAnswer(await localKeys.query(local))
  }
  const claimForServer = async (claims: readonly KeyClaim[]) =>
    claimedKeys(await localKeys.claim(claims.filter(({ userId }) => isLocal(userId))))
  const queryAll = async (wanted: WantedKeys, timeoutMs: number | undefined) => {
    const remote = [...wanted].filter(([userId]) => !isLocal(userId))
    const [local, { found, failures }] = await Promise.all([
      queryForServer(wanted),
      queryServers(needs, remote, deadlineOf(needs, timeoutMs)),
    ])
    return { failures, ...merged([local, keysAnswer(found)]) }
  }
  return {
    queryForServer,
    claimForServer,
    query: async (viewer, wanted, timeoutMs) =>
      await asSeenBy(needs.db, viewer, { wanted, answer: await queryAll(wanted, timeoutMs) }),
    mastersOf: async (userIds) => {
      const wanted = new Map(userIds.map((userId) => [userId, []]))
      const { master_keys } = await queryAll(wanted, undefined)
      return new Map(Object.entries(master_keys) as [UserId, JsonObject][])
    },
    claim: async (claims, timeoutMs) => {
      const remote = claims.filter(({ userId }) => !isLocal(userId))
      const [local, { found, failures }] = await Promise.all([
        claimForServer(claims),
        claimFromServers(needs, remote, deadlineOf(needs, timeoutMs)),
      ])
      return { failures, one_time_keys: { ...local, ...claimedKeys(found) } }
    },
  }
}

/** Adds what the user alone sees: the user-signing key, and what that has signed. */
async function asSeenBy(
  db: Reader,
  viewer: UserId,
  {
    wanted,
    answer,
  }: {
    readonly wanted: WantedKeys
    readonly answer: Omit<KeyQueryAnswer, 'user_signing_keys'>
  },
): Promise<KeyQueryAnswer> {
  const own = wanted.has(viewer) ? await userSigningKeyOf(db, viewer) : undefined
  const masters = Object.entries(answer.master_keys) as [UserId, JsonObject][]
  const userIds = masters.map(([userId]) => userId)
  const signed = await signaturesOfOne(db, viewer, userIds)
  return {
    ...answer,
    master_keys: Object.fromEntries(masters.map(([userId, key]) => [userId, signed(userId, key)])),
    user_signing_keys: own === undefined ? {} : { [viewer]: own },
  }
}

type Wanted = readonly [UserId, readonly string[]]

function deadlineOf({ clock }: KeyQueryNeeds, timeoutMs = timeoutMsDefault): number {
  return clock.monotonicMs() + Math.min(timeoutMs, timeoutMsMax)
}

/** Asks each server; gives what they answered, and those that did not with the reason. */
async function askServers<T, Found>(
  { clock }: KeyQueryNeeds,
  {
    asked,
    serverOf,
    deadlineMs,
  }: {
    readonly asked: readonly T[]
    readonly serverOf: (one: T) => ServerName
    readonly deadlineMs: number
  },
  ask: (server: ServerName, asked: readonly T[]) => Promise<readonly Found[]>,
): Promise<{ found: Found[]; failures: Record<string, JsonObject> }> {
  const limiter = new Limiter(serversMax, 'questions for keys')
  const failures: [string, JsonObject][] = []
  const askOne = async (server: ServerName, ofServer: readonly T[]) => {
    try {
      if (clock.monotonicMs() >= deadlineMs) throw tooLate(server)
      return await ask(server, ofServer)
    } catch (error) {
      if (!(error instanceof FederationError)) throw error
      failures.push([server, { error: error.message }])
      return []
    }
  }
  const byServer = [...Map.groupBy(asked, serverOf)]
  const found = await Promise.all(
    byServer.map(([server, ofServer]) => limiter.run(() => askOne(server, ofServer))),
  )
  return { found: found.flat(), failures: Object.fromEntries(failures) }
}

function tooLate(server: ServerName): FederationError {
  return new FederationError(server, 'unreachable', `There was no time left to ask ${server}.`)
}

async function queryServers(
  needs: KeyQueryNeeds,
  asked: readonly Wanted[],
  deadlineMs: number,
): Promise<{ found: Map<UserId, UserKeySet>; failures: Record<string, JsonObject> }> {
  const known = await needs.remoteDevices.known(asked.map(([userId]) => userId))
  const unknown = asked.filter(([userId]) => !known.has(userId))
  const { found, failures } = await askServers(
    needs,
    { asked: unknown, serverOf: ([userId]) => serverNameOf(userId), deadlineMs },
    (server, ofServer) => queryServer(needs, server, { asked: ofServer, deadlineMs }),
  )
  const all = [...known, ...found].map(([userId, keys]) => [userId, keys] as const)
  const lists = new Map(asked)
  return {
    found: new Map(all.map(([userId, keys]) => [userId, chosen(keys, lists.get(userId) ?? [])])),
    failures,
  }
}

function chosen(keys: UserKeySet, deviceIds: readonly string[]): UserKeySet {
  if (deviceIds.length === 0) return keys
  const devices = Object.entries(keys.devices).filter(([id]) => deviceIds.includes(id))
  return { ...keys, devices: Object.fromEntries(devices) }
}

/**
 * Whole lists are fetched of users who share a room, to be kept; the keys of all others, and of those
 * who are too many, are asked for at once.
 */
async function queryServer(
  needs: KeyQueryNeeds,
  server: ServerName,
  { asked, deadlineMs }: { readonly asked: readonly Wanted[]; readonly deadlineMs: number },
): Promise<(readonly [UserId, UserKeySet])[]> {
  const { clock, rooms, remoteDevices, remoteKeys } = needs
  const leftMs = () => Math.max(1, deadlineMs - clock.monotonicMs())
  const rest: Wanted[] = []
  const tracked: Wanted[] = []
  for (const one of asked) {
    if ((await rooms.joinedRoomsOf(one[0])).length === 0) rest.push(one)
    else tracked.push(one)
  }
  for (const one of tracked.splice(listsMax)) {
    rest.push(one)
    remoteDevices.fetchSoon(one[0])
  }
  const fetched = await Promise.all(
    tracked.map(async (one): Promise<(readonly [UserId, UserKeySet])[]> => {
      try {
        return [[one[0], await remoteDevices.fetch(one[0], leftMs())]]
      } catch (error) {
        // Some servers do not know this operation.
        if (!(error instanceof FederationError) || error.kind !== 'refused') throw error
        rest.push(one)
        return []
      }
    }),
  )
  if (rest.length === 0) return fetched.flat()
  const answer = await remoteKeys.queryKeys(server, Object.fromEntries(rest), leftMs())
  return [...fetched.flat(), ...rest.flatMap((one) => keysIn(answer, one))]
}

/** What a server said of a user that it was asked for. */
function keysIn(
  answer: Awaited<ReturnType<RemoteKeys['queryKeys']>>,
  [userId]: Wanted,
): (readonly [UserId, UserKeySet])[] {
  const ofUser = Object.hasOwn(answer.device_keys, userId) ? answer.device_keys[userId] : undefined
  if (ofUser === undefined) return []
  const devices = Object.entries(ofUser).flatMap(([deviceId, given]) => {
    const keys = deviceKeysFrom({ userId, deviceId }, given)
    return keys === undefined ? [] : [[deviceId, keys] as const]
  })
  const crossSigning = (all: unknown) =>
    isJsonObject(all) && Object.hasOwn(all, userId)
      ? crossSigningKeyFrom(userId, all[userId])
      : undefined
  const keys = {
    devices: Object.fromEntries(devices),
    masterKey: crossSigning(answer.master_keys),
    selfSigningKey: crossSigning(answer.self_signing_keys),
  }
  return [[userId, keys]]
}

type Claimed = KeyClaim & { readonly key: JsonObject }

async function claimFromServers(
  needs: KeyQueryNeeds,
  claims: readonly KeyClaim[],
  deadlineMs: number,
): Promise<{ found: Claimed[]; failures: Record<string, JsonObject> }> {
  const serverOf = ({ userId }: KeyClaim) => serverNameOf(userId)
  return await askServers(needs, { asked: claims, serverOf, deadlineMs }, async (server, asked) => {
    const byUser = Map.groupBy(asked, ({ userId }) => userId)
    const wanted = [...byUser].map(([userId, ofUser]) => {
      const devices = ofUser.map(({ deviceId, algorithm }) => [deviceId, algorithm] as const)
      return [userId, Object.fromEntries(devices)] as const
    })
    const timeoutMs = deadlineMs - needs.clock.monotonicMs()
    const answer = await needs.remoteKeys.claimKeys(server, Object.fromEntries(wanted), timeoutMs)
    return asked.flatMap((claim) => claimedIn(answer.one_time_keys, claim))
  })
}

/** The key that was asked for, and no other. */
function claimedIn(answer: Readonly<Record<string, JsonObject>>, claim: KeyClaim): Claimed[] {
  const ofUser = Object.hasOwn(answer, claim.userId) ? answer[claim.userId] : undefined
  const ofDevice = ofUser && Object.hasOwn(ofUser, claim.deviceId) && ofUser[claim.deviceId]
  if (!isJsonObject(ofDevice)) return []
  const key = Object.entries(ofDevice).find(([name]) => name.startsWith(`${claim.algorithm}:`))
  return key === undefined ? [] : [{ ...claim, key: Object.fromEntries([key]) }]
}

function keysAnswer(found: ReadonlyMap<UserId, UserKeySet>): KeysAnswer {
  const users = [...found]
  const present = (key: 'masterKey' | 'selfSigningKey') =>
    Object.fromEntries(
      users.flatMap(([userId, keys]) => {
        const value = keys[key]
        return value === undefined ? [] : [[userId, value] as const]
      }),
    )
  return {
    device_keys: Object.fromEntries(users.map(([userId, { devices }]) => [userId, devices])),
    master_keys: present('masterKey'),
    self_signing_keys: present('selfSigningKey'),
  }
}

function merged(answers: readonly KeysAnswer[]): KeysAnswer {
  return {
    device_keys: Object.assign({}, ...answers.map((one) => one.device_keys)),
    master_keys: Object.assign({}, ...answers.map((one) => one.master_keys)),
    self_signing_keys: Object.assign({}, ...answers.map((one) => one.self_signing_keys)),
  }
}

function claimedKeys(found: readonly Claimed[]): ClaimedKeys {
  const byUser = Map.groupBy(found, ({ userId }) => userId)
  const users = [...byUser].map(([userId, ofUser]) => {
    const devices = ofUser.map(({ deviceId, key }) => [deviceId, key] as const)
    return [userId, Object.fromEntries(devices)] as const
  })
  return Object.fromEntries(users)
}
