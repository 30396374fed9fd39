/**
 * All of federation, put together: who we are to other servers, how we reach and know them, and what
 * we send them.
 *
 * It is made before the rooms, which ask other servers through it, and begins to send once the rooms
 * are there to say what.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { LRUCache } from 'lru-cache'
import type { IncomingRequest } from '#io/http.ts'
import type { Io } from '#io/io.ts'
import type { PduChecker } from '#io/pdu-checker.ts'
import { matchesGlob } from '#protocol/glob.ts'
import type { EventId, RoomId, ServerName } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'
import type { RemoteServers, Signer } from '#rooms/remote-servers.ts'
import type { Rooms } from '#rooms/rooms.ts'
import type { Database } from '#storage/database.ts'
import { authenticateRequest } from './authenticate-request.ts'
import { type BackOff, createBackOff, type RetryTimes, usualRetryTimes } from './back-off.ts'
import { createFederationClient, type FederationClient } from './call.ts'
import { createDiscovery } from './discovery.ts'
import type { EduSender } from './edus.ts'
import { storedKeys } from './key-archive.ts'
import { createNotary, type Notary } from './notary.ts'
import { createOwnKeys, type OldKey } from './own-keys.ts'
import { createRemoteQueries, type RemoteQueries } from './queries.ts'
import { createRemoteMediaSource, type RemoteMediaSource } from './remote-media.ts'
import { createRemoteLists, type RemoteLists } from './remote-public-rooms.ts'
import { createRemoteServers } from './remote-servers.ts'
import { createRemoteSpaces, type RemoteSpaceLevels } from './remote-spaces.ts'
import type { DeviceEduSource } from './sender/device-lane.ts'
import type { PduSource } from './sender/event-lane.ts'
import type { Quarantine } from './sender/quarantine.ts'
import { createSender } from './sender/sender.ts'
import { type ArchivingKeyring, createKeyring } from './server-keys.ts'
import { createRemoteKeys, type RemoteKeys } from './user-keys.ts'

export interface FederationNeeds
  extends Pick<Io, 'clock' | 'random' | 'log' | 'httpClient' | 'outboundHttpClient' | 'dns'> {
  readonly db: Database
  readonly signer: Signer
  readonly pduChecker?: PduChecker
  /** Keys that this server signed with before. */
  readonly oldKeys?: readonly OldKey[]
  /** `federation.trusted_key_servers`. */
  readonly trustedKeyServers?: readonly ServerName[]
  /** `federation.key_server_quorum`. */
  readonly quorum?: number
  /** `federation.stolen_keys`. */
  readonly stolenKeys?: ReadonlySet<string>
  /** `federation.allow`: patterns of the only servers to talk with; null is all. */
  readonly allow?: readonly string[] | null
  /** `federation.deny`: patterns of servers not to talk with. */
  readonly deny?: readonly string[]
  /** Whether a server is shut out at the moment. */
  readonly isBlocked?: (server: ServerName) => boolean
  /** `federation.retry`. */
  readonly retry?: RetryTimes
}

export interface Federation {
  readonly client: FederationClient
  readonly backOff: BackOff
  readonly keyring: ArchivingKeyring
  readonly remoteServers: RemoteServers
  readonly queries: RemoteQueries
  readonly remoteKeys: RemoteKeys
  readonly remoteLists: RemoteLists
  readonly remoteSpaces: RemoteSpaceLevels
  readonly remoteMedia: RemoteMediaSource
  readonly notary: Notary
  readonly ownKeys: () => JsonObject
  readonly edus: EduSender
  readonly outboxQuarantine: Quarantine
  /** Gives the server that sent a request. Throws 401 `M_UNAUTHORIZED`. */
  authenticateServer(request: IncomingRequest, rawBody: Uint8Array): Promise<ServerName>
  /** Sends what the outbox holds, and from now on what the rooms commit. Call it once. */
  startSending(rooms: Pick<Rooms, 'events' | 'onCommit'>, deviceEdusOf: DeviceEduSource): void
  close(): Promise<void>
}

export async function createFederation(needs: FederationNeeds): Promise<Federation> {
  const { db, clock, random, log, signer } = needs
  const { serverName } = signer
  const isAllowed = allowance(needs)
  const discovery = createDiscovery(needs)
  const backOff = await createBackOff(needs, needs.retry ?? usualRetryTimes)
  const client = createFederationClient({ ...needs, discovery, backOff, isAllowed })
  const trustedKeyServers = needs.trustedKeyServers ?? []
  const keyring = createKeyring({
    ...needs,
    archive: storedKeys(db),
    client,
    discovery,
    trustedKeyServers,
  })
  const ownKeys = createOwnKeys(signer, clock, needs.oldKeys)
  let source: PduSource | undefined
  let deviceSource: DeviceEduSource | undefined
  const pdusOf: PduSource = async (roomId, eventIds) => {
    assert(source, 'the rooms are not there yet')
    return await source(roomId, eventIds)
  }
  const deviceEdusOf: DeviceEduSource = async (rows) => {
    assert(deviceSource, 'the devices are not there yet')
    return await deviceSource(rows)
  }
  const sender = createSender({
    serverName,
    db,
    clock,
    random,
    log,
    client,
    backOff,
    pdusOf,
    deviceEdusOf,
  })
  const authentication = {
    serverName,
    keyring,
    clock,
    isAllowed,
    pduChecker: needs.pduChecker,
    onSignOfLife: (server: ServerName) => backOff.signOfLife(server),
  }
  return {
    client,
    backOff,
    keyring,
    remoteServers: createRemoteServers(client, clock),
    queries: createRemoteQueries(client),
    remoteKeys: createRemoteKeys(client),
    remoteLists: createRemoteLists(client, clock),
    remoteSpaces: createRemoteSpaces(client, clock),
    remoteMedia: createRemoteMediaSource(client, needs.outboundHttpClient),
    notary: createNotary({ keyring, signer, clock, ownKeys }),
    ownKeys,
    edus: sender,
    outboxQuarantine: sender.quarantine,
    authenticateServer: (request, rawBody) => authenticateRequest(authentication, request, rawBody),
    startSending(rooms, deviceEdus) {
      source = pduSourceOf(rooms)
      deviceSource = deviceEdus
      rooms.onCommit(({ destinations }) => sender.wake(destinations))
      sender.start().catch((error: unknown) => log.error('sending did not start', { error }))
    },
    close: () => sender.close(),
  }
}

/** How many answers are kept until the room goes on. */
const answersMax = 100

/**
 * The events of rooms. What a thousand servers are sent is read once: an answer is kept until the room
 * goes on, since only that can change what is to be sent of an event.
 */
function pduSourceOf(rooms: Pick<Rooms, 'events' | 'onCommit'>): PduSource {
  type Answer = ReturnType<PduSource>
  const kept = new LRUCache<RoomId, { readonly key: string; readonly answer: Answer }>({
    maxSize: answersMax,
    sizeCalculation: () => 1,
  })
  rooms.onCommit(({ roomId }) => kept.delete(roomId))
  const read = async (roomId: RoomId, eventIds: readonly EventId[]) => {
    const events = await rooms.events(roomId, eventIds)
    return events.map(({ pdu }) => ({ eventId: pdu.event_id, bytes: pdu.bytes }))
  }
  return async (roomId, eventIds) => {
    const key = eventIds.join(' ')
    const known = kept.get(roomId)
    if (known?.key === key) return await known.answer
    const answer = read(roomId, eventIds)
    kept.set(roomId, { key, answer })
    // What could not be read is asked for again.
    answer.catch(() => kept.delete(roomId))
    return await answer
  }
}

/** Whether we federate with a server, by the patterns of the configuration. */
function allowance({
  allow,
  deny = [],
  isBlocked,
}: FederationNeeds): (server: ServerName) => boolean {
  const isAny = (patterns: readonly string[], server: string) =>
    patterns.some((pattern) => matchesGlob(pattern.toLowerCase(), server))
  return (server) => {
    if (isBlocked?.(server)) return false
    const name = server.toLowerCase()
    return !isAny(deny, name) && (allow === null || allow === undefined || isAny(allow, name))
  }
}
