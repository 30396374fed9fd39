/**
 * One homeserver: all its rooms, built once, in order.
 *
 * @module
 */

import type { PublicRooms } from '#directory/public-rooms.ts'
import type { Spaces } from '#directory/spaces.ts'
import type { UserDirectory } from '#directory/user-directory.ts'
import type { EduSender } from '#federation/edus.ts'
import type { Notary } from '#federation/notary.ts'
import type { TransactionReceiver } from '#federation/receive-transactions.ts'
import type { Quarantine } from '#federation/sender/quarantine.ts'
import type { HeldRefusals } from '#http/held-refusals.ts'
import type { IdentityServers } from '#identity/identity-servers.ts'
import type { Io } from '#io/io.ts'
import type { Media } from '#media/media.ts'
import type { PolicyServer } from '#policy/policy-server.ts'
import type { Pressure } from '#pressure/pressure.ts'
import type { ServerName, UserId } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'
import type { Push } from '#push/push.ts'
import type { Blocks } from '#rooms/blocks.ts'
import type { Keyring, RemoteServers, Signer } from '#rooms/remote-servers.ts'
import type { RoomsForServers } from '#rooms/resident/rooms-for-servers.ts'
import type { Rooms } from '#rooms/rooms.ts'
import type { Search } from '#search/search.ts'
import type { Database } from '#storage/database.ts'
import type { Streams } from '#storage/streams.ts'
import type { Sync } from '#sync/sync.ts'
import type { Acquaintances } from '#users/acquaintances.ts'
import type { Aliases } from '#users/aliases.ts'
import type { DelayedEvents } from '#users/delayed-events.ts'
import type { EndToEnd } from '#users/end-to-end/end-to-end.ts'
import type { Presence } from '#users/presence/presence.ts'
import type { Receipts } from '#users/receipts.ts'
import type { Transactions } from '#users/transactions.ts'
import type { Typing } from '#users/typing.ts'
import type { Users } from '#users/users.ts'

/** Whom to turn to about this server. */
export interface Support {
  readonly contacts: readonly {
    readonly role: string
    readonly matrix_id?: UserId
    readonly email_address?: string
  }[]
  readonly page: string | undefined
}

/** TURN servers, and how users are let in there. */
export interface Turn {
  readonly uris: readonly string[]
  readonly sharedSecret: string
  /** How long a password is good. */
  readonly ttlSeconds: number
}

/** What handlers may ask for, by name. */
export interface Server extends Pick<Io, 'clock' | 'random' | 'log'> {
  readonly serverName: ServerName
  /** The version of this program. */
  readonly version: string
  /** Where clients reach this server: a URL. */
  readonly publicBaseUrl: string
  /** The version of rooms whose creator asks for none. */
  readonly defaultRoomVersion: string
  readonly db: Database
  readonly signer: Signer
  /** Rooms and servers that are shut out. */
  readonly blocks: Blocks
  /** Whether there is too much to do. */
  readonly pressure: Pressure
  /** What is told after a while, for who asks too often. */
  readonly refusals: HeldRefusals
  /** What we say of our own keys. */
  readonly ownKeys: () => JsonObject
  readonly notary: Notary
  /** Where other servers reach this one, if not where its name says. */
  readonly federationAddress: ServerName | undefined
  readonly keyring: Keyring
  readonly remoteServers: RemoteServers
  readonly identityServers: IdentityServers
  /** If this server may be the policy server of rooms. */
  readonly policyServer: PolicyServer | undefined
  readonly support: Support
  /** The TURN servers for calls, if there are any. */
  readonly turn: Turn | undefined
  readonly rooms: Rooms
  readonly roomsForServers: RoomsForServers
  readonly transactions: TransactionReceiver
  readonly edus: EduSender
  /** What other servers refused to take from us. */
  readonly outboxQuarantine: Quarantine
  readonly users: Users
  /** What other servers may know of our users. */
  readonly acquaintances: Acquaintances
  readonly endToEnd: EndToEnd
  readonly streams: Streams
  readonly sync: Sync
  readonly delayedEvents: DelayedEvents
  /** What carries calls: URLs. */
  readonly livekitServiceUrls: readonly string[]
  readonly search: Search
  readonly aliases: Aliases
  readonly publicRooms: PublicRooms
  readonly spaces: Spaces
  readonly userDirectory: UserDirectory
  readonly media: Media
  readonly receipts: Receipts
  readonly push: Push
  readonly clientTransactions: Transactions
  readonly typing: Typing
  readonly presence: Presence
}
