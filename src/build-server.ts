/**
 * Builds the parts of a server, each once and in order: whoever needs another is built after it.
 *
 * @module
 */

import type { Config } from '#config/settings.ts'
import { createPublicRooms, type PublicRoomsNeeds } from '#directory/public-rooms.ts'
import type { SpacesNeeds } from '#directory/space-rooms.ts'
import { createSpaces } from '#directory/spaces.ts'
import { createUserDirectory, type UserDirectoryNeeds } from '#directory/user-directory.ts'
import type { EduReceiver } from '#federation/edus.ts'
import type { Federation } from '#federation/federation.ts'
import { createTransactionReceiver } from '#federation/receive-transactions.ts'
import { authorizationOf } from '#federation/request-signing.ts'
import { HeldRefusals } from '#http/held-refusals.ts'
import { createIdentityServers, type IdentityNeeds } from '#identity/identity-servers.ts'
import type { Argon2id } from '#io/argon2id.ts'
import type { Io } from '#io/io.ts'
import type { Mailer } from '#io/mailer.ts'
import { createMedia, type Media, type MediaNeeds } from '#media/media.ts'
import { createPolicyLists } from '#policy/policy-lists.ts'
import {
  createPolicyServer,
  type PolicyServer,
  type PolicyServerNeeds,
} from '#policy/policy-server.ts'
import type { Pressure } from '#pressure/pressure.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Pdu } from '#protocol/pdu.ts'
import { createPush } from '#push/push.ts'
import type { Blocks } from '#rooms/blocks.ts'
import type { LocalRooms } from '#rooms/create-engine.ts'
import { createRooms } from '#rooms/create-rooms.ts'
import type { Shares } from '#rooms/engine-parts.ts'
import type { Signer } from '#rooms/remote-servers.ts'
import { Arrivals } from '#rooms/resident/arrivals.ts'
import { createSearch } from '#search/search.ts'
import type { Database } from '#storage/database.ts'
import type { Streams } from '#storage/streams.ts'
import { createSync } from '#sync/sync.ts'
import { Acquaintances } from '#users/acquaintances.ts'
import { type AliasNeeds, createAliases } from '#users/aliases.ts'
import { createDelayedEvents } from '#users/delayed-events.ts'
import { createEndToEnd, type EndToEndNeeds } from '#users/end-to-end/end-to-end.ts'
import { followGuestAccess } from '#users/guest-access.ts'
import { createPresence } from '#users/presence/presence.ts'
import { createReceipts } from '#users/receipts.ts'
import { followSuccessions } from '#users/room-successions.ts'
import { createTransactions } from '#users/transactions.ts'
import { createTyping } from '#users/typing.ts'
import { createUsers, type UserNeeds } from '#users/users.ts'
import {
  audiencesOf,
  directoryRules,
  mediaLimits,
  policyRules,
  registrationRules,
  supportOf,
  turnOf,
} from './config-parts.ts'
import type { Server } from './server.ts'

const programVersion = '0.1.0'

/** The world around a server, and its store. */
export interface Surroundings {
  readonly io: Io
  readonly argon2id: Argon2id
  readonly db: Database
  /** Without it no mail is sent. */
  readonly mailer?: Mailer | undefined
  /** Whether answers are checked against their schemas: in tests and the simulation. */
  readonly checkAnswers?: boolean
}

export function buildServer(
  config: Config,
  { io, db, argon2id, mailer }: Surroundings,
  parts: {
    readonly streams: Streams
    readonly signer: Signer
    readonly policySigner: Signer | undefined
    readonly federation: Federation
    readonly local: LocalRooms
    readonly pressure: Pressure
    readonly shares: Shares
    readonly blocks: Blocks
  },
): {
  readonly server: Server
  readonly resume: () => Promise<void>
  /** Resolves once what commits led to is done. */
  readonly finish: () => Promise<void>
} {
  const { streams, signer, federation, local, pressure, shares, blocks } = parts
  const { serverName } = signer
  const identityServers = createIdentityServers({ ...io, signRequest: signsBy(signer) })
  const { edus, outboxQuarantine, keyring, remoteServers } = federation
  const { rooms, roomsForServers, joins, resume } = createRooms(local, {
    ...io,
    db,
    blocks,
    serverName,
    signer,
    keyring,
    remoteServers,
    canBeInvited: async (userId, sender) => {
      await users.wishes.assertInvitable(userId, sender)
      return await users.accounts.exists(userId)
    },
    arrivals: config.rate_limits ? new Arrivals(io.clock) : undefined,
    isThirdPartyKeyValid: identityServers.isKeyValid,
    signAsPolicyServer: (pdu) => signAsPolicyServer(policyServer, pdu),
  })
  const refusals = new HeldRefusals(io.clock)
  const common = { ...io, db, streams, rooms, serverName, edus, shares, blocks, refusals }
  const policyServer = buildPolicyServer(config, { ...common, ...local, ...parts })
  const forUsers = { ...common, argon2id, mailer }
  const { users, endToEnd, guestAccess, finish } = buildUsers(config, forUsers, federation)
  const typing = createTyping(common)
  const receipts = createReceipts(common)
  const push = createPush({ ...common, ...users, local, receipts })
  const presence = createPresence({ ...common, isEnabled: config.presence })
  const passing = { typing, receipts, presence }
  const eduReceivers = receiversOf({ ...passing, endToEnd })
  const server = {
    ...common,
    ...nameOf(config, federation),
    pressure,
    signer,
    outboxQuarantine,
    identityServers,
    policyServer,
    roomsForServers,
    transactions: createTransactionReceiver({
      ...common,
      engine: local.engine,
      joins,
      eduReceivers,
    }),
    users,
    acquaintances: new Acquaintances(common, audiencesOf(config)),
    endToEnd,
    ...passing,
    push,
    ...buildDirectory(config, common, federation),
    media: buildMedia(config, common, parts),
    clientTransactions: createTransactions(common),
    search: createSearch(common),
    delayedEvents: createDelayedEvents({ ...common, ...users }),
    sync: createSync({
      ...common,
      ...endToEnd,
      ...passing,
      ...push,
      accountData: users.accountData,
      wishes: users.wishes,
      profiles: users.profiles,
      threadSubscriptions: users.threadSubscriptions,
    }),
  }
  return {
    server,
    resume: async () => {
      server.search.start()
      server.userDirectory.start()
      server.delayedEvents.start()
      await Promise.all([resume(), endToEnd.start(), push.start(), guestAccess.resume()])
    },
    finish,
  }
}

function signsBy(signer: Signer): IdentityNeeds['signRequest'] {
  return (request) => authorizationOf(signer, request)
}

/** What users are built with that only they need. */
type OwnToUsers =
  | 'deviceLists'
  | 'isKnown'
  | 'passwordHashCost'
  | 'publicBaseUrl'
  | 'registration'
  | `remote${string}`

function buildUsers(
  config: Config,
  common: Omit<EndToEndNeeds & UserNeeds, OwnToUsers> & Pick<Server, 'rooms'>,
  { queries, remoteKeys }: Federation,
) {
  const endToEnd = createEndToEnd({
    ...common,
    remoteKeys,
    isKnown: async (userId) => (await users.accounts.account(userId)) !== undefined,
  })
  const users = createUsers({
    ...common,
    deviceLists: endToEnd.deviceLists,
    remoteProfiles: queries,
    publicBaseUrl: publicBaseUrlOf(config),
    registration: registrationRules(config),
    passwordHashCost: config.password_hash_cost ?? undefined,
  })
  const successions = followSuccessions({ ...common, ...users })
  const guestAccess = followGuestAccess({ ...common, ...users })
  const finish = async () => {
    await successions.close()
    await guestAccess.close()
  }
  return { users, endToEnd, guestAccess, finish }
}

function publicBaseUrlOf({ public_baseurl: url, server_name: name }: Config): string {
  return url ?? `https://${name}`
}

/** What this server is to others, and they to it. */
function nameOf(config: Config, { ownKeys, notary, keyring, remoteServers }: Federation) {
  return {
    version: programVersion,
    publicBaseUrl: publicBaseUrlOf(config),
    defaultRoomVersion: config.default_room_version,
    federationAddress: config.federation.address ?? undefined,
    support: supportOf(config),
    livekitServiceUrls: config.livekit_service_urls,
    turn: turnOf(config),
    ownKeys,
    notary,
    keyring,
    remoteServers,
  }
}

function buildDirectory(
  config: Config,
  common: Omit<
    AliasNeeds & PublicRoomsNeeds & SpacesNeeds & UserDirectoryNeeds,
    `remote${string}` | 'rules' | 'searchesAllUsers'
  >,
  { queries, remoteLists, remoteSpaces }: Federation,
): Pick<Server, 'aliases' | 'publicRooms' | 'spaces' | 'userDirectory'> {
  const rules = directoryRules(config)
  return {
    aliases: createAliases({ ...common, remoteDirectory: queries }),
    publicRooms: createPublicRooms({ ...common, remotePublicRooms: remoteLists, rules }),
    spaces: createSpaces({ ...common, remoteSpaces }),
    userDirectory: createUserDirectory({
      ...common,
      searchesAllUsers: config.user_directory.search_all_users,
    }),
  }
}

function buildMedia(
  config: Config,
  common: Omit<MediaNeeds, 'remoteSource' | 'mayKeepRemote' | keyof ReturnType<typeof mediaLimits>>,
  { federation, pressure }: { readonly federation: Federation; readonly pressure: Pressure },
): Media {
  return createMedia({
    ...common,
    remoteSource: federation.remoteMedia,
    mayKeepRemote: () => pressure.mayKeepRemoteMedia,
    ...mediaLimits(config),
  })
}

function buildPolicyServer(
  { policy_server: settings }: Config,
  parts: Omit<PolicyServerNeeds, 'signer' | 'lists' | 'rules'> & {
    readonly policySigner: Signer | undefined
  },
): PolicyServer | undefined {
  const { policySigner: signer } = parts
  if (signer === undefined) return undefined
  const lists = createPolicyLists({ ...parts, roomIds: settings.policy_lists })
  return createPolicyServer({ ...parts, signer, lists, rules: policyRules(settings) })
}

async function signAsPolicyServer(server: PolicyServer | undefined, pdu: Pdu): Promise<string> {
  if (server !== undefined) return await server.signOwn(pdu)
  const message = 'The room uses this server as its policy server, which it is not.'
  throw new MatrixError(403, 'M_FORBIDDEN', message)
}

function receiversOf({
  typing,
  receipts,
  presence,
  endToEnd,
}: Pick<Server, 'typing' | 'receipts' | 'presence' | 'endToEnd'>): ReadonlyMap<
  string,
  EduReceiver
> {
  return new Map<string, EduReceiver>([
    ['m.typing', typing.receive],
    ['m.receipt', receipts.receive],
    ['m.presence', presence.receive],
    ...endToEnd.eduReceivers,
  ])
}
