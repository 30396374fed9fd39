/**
 * Federation without a homeserver: a program that other servers know by a name and a key, which calls
 * them, knows their keys, and checks what they send. It keeps no rooms and stores nothing.
 *
 * Made of the parts that the homeserver itself uses. What a homeserver decides for its users is left
 * to the caller here: nobody is left alone after failures, and no server is refused.
 *
 * @module
 */

import type { Io } from '#io/io.ts'
import { silentLog } from '#io/log.ts'
import type { CheckedPdu } from '#io/pdu-checker.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import { parseServerName } from '#protocol/identifiers/server-name.ts'
import type { JsonObject } from '#protocol/json.ts'
import type { RoomVersion } from '#protocol/room-version.ts'
import { admitPdus } from '#rooms/admit-pdus.ts'
import type { Keyring, RemoteServers, Signer } from '#rooms/remote-servers.ts'
import { authenticateRequest, type SignedIncoming } from './authenticate-request.ts'
import { type BackOff, usualRetryTimes } from './back-off.ts'
import { createFederationClient, type FederationClient } from './call.ts'
import { createDiscovery, type Discovery } from './discovery.ts'
import { type KeyArchive, keysInMemory } from './key-archive.ts'
import { createOwnKeys, type OldKey } from './own-keys.ts'
import { createRemoteServers } from './remote-servers.ts'
import { createKeyring } from './server-keys.ts'
import { parseSigningKey } from './signing-key.ts'

export interface PeerOptions {
  /** The name that others know this program by, and at which they ask it for its keys. */
  readonly serverName: string
  /** The key it signs with, as the text of a key file. `newSigningKey` makes one: keep it. */
  readonly signingKey: string
  /** Keys that it signed with before. */
  readonly oldKeys?: readonly OldKey[]
  /** Servers that are asked for the keys of servers that do not answer. */
  readonly trustedKeyServers?: readonly ServerName[]
  /** Where the keys of others are kept; in memory, if it is not said. */
  readonly archive?: KeyArchive
}

export interface Peer {
  readonly signer: Signer
  readonly discovery: Discovery
  /** Any operation of `hansa/endpoints/server-server/…`, signed, with typed and checked answers. */
  readonly client: FederationClient
  /** Joins, leaves, invites and history, with PDUs as the bytes in which they came. */
  readonly servers: RemoteServers
  readonly keyring: Keyring
  /** What to answer to `GET /_matrix/key/v2/server`. */
  ownKeys(): JsonObject
  /** Which server sent a request. Throws a `MatrixError` 401, to be answered as it is. */
  authenticate(request: SignedIncoming, rawBody: Uint8Array): Promise<ServerName>
  /**
   * Checks PDUs of a room's version: form, signatures with the keys of their time, content hash, event
   * ID. Says nothing of whether the room allows them: see `checkAuthRules` of `hansa/protocol`.
   */
  checkPdus(version: RoomVersion, pdus: readonly Uint8Array[]): Promise<CheckedPdu[]>
  close(): Promise<void>
}

/** The parts of the outside world that it needs. */
export type PeerIo = Pick<Io, 'clock' | 'random' | 'dns' | 'httpClient' | 'pduChecker'> &
  Partial<Pick<Io, 'log'>>

/** Throws if the name or the key cannot be used. */
export function createPeer(options: PeerOptions, io: PeerIo): Peer {
  const serverName = parseServerName(options.serverName)
  if (serverName === undefined) throw new Error(`${options.serverName} is no server name.`)
  const signer = parseSigningKey(serverName, 'given', options.signingKey)
  const { clock, httpClient, pduChecker } = io
  const log = io.log ?? silentLog
  const discovery = createDiscovery(io)
  const client = createFederationClient({ clock, signer, httpClient, discovery, backOff: patience })
  const keyring = createKeyring({
    clock,
    log,
    httpClient,
    signer,
    client,
    discovery,
    archive: options.archive ?? keysInMemory(),
    trustedKeyServers: options.trustedKeyServers ?? [],
    oldKeys: options.oldKeys,
  })
  const checking = { clock, keyring, pduChecker }
  return {
    signer,
    discovery,
    client,
    servers: createRemoteServers(client, clock),
    keyring,
    ownKeys: createOwnKeys(signer, clock, options.oldKeys),
    authenticate: (request, rawBody) =>
      authenticateRequest({ serverName, keyring, clock }, request, rawBody),
    checkPdus: (version, pdus) =>
      admitPdus(checking, version, pdus, { origin: serverName, route: 'backfill' }),
    close: async () => {
      await httpClient.close()
      await pduChecker.close()
    },
  }
}

/** Whoever calls decides by itself whom to ask again, and when. */
const patience: BackOff = {
  longestMs: usualRetryTimes.maxMs,
  failing: () => undefined,
  waitMs: () => 0,
  failed: () => {},
  signOfLife: () => {},
  onReturn: () => {},
}
