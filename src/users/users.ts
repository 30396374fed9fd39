/**
 * Everything about the users of this server, as the rest of the house sees it.
 *
 * @module
 */

import type { Argon2id } from '#io/argon2id.ts'
import type { Clock } from '#io/clock.ts'
import type { Log } from '#io/log.ts'
import type { Mailer } from '#io/mailer.ts'
import type { Random } from '#io/random.ts'
import type { ServerName, UserId } from '#protocol/identifiers/ids.ts'
import type { Rooms } from '#rooms/rooms.ts'
import type { Database } from '#storage/database.ts'
import type { Streams } from '#storage/streams.ts'
import { type AccountData, createAccountData } from './account-data.ts'
import { type Accounts, createAccounts } from './accounts.ts'
import { type Addresses, createAddresses } from './addresses.ts'
import { type BoundAddresses, createBoundAddresses } from './bound-addresses.ts'
import { createDevices, type Devices } from './devices.ts'
import type { DeviceLists } from './end-to-end/device-lists.ts'
import { createFilters, type Filters } from './filters.ts'
import { createInteractiveAuth, type InteractiveAuth } from './interactive-auth.ts'
import { createLoginTokens, type LoginTokens } from './login-tokens.ts'
import { createOpenId, type OpenId } from './openid.ts'
import { createPasswords } from './passwords.ts'
import { createProfiles, type Profiles, type RemoteProfiles } from './profiles.ts'
import { createPushRules, type PushRules } from './push-rules.ts'
import { createRegistrationTokens, type RegistrationTokens } from './registration-tokens.ts'
import { createReports, type Reports } from './reports.ts'
import { createSessions, type Sessions } from './sessions.ts'
import { createSharedSecret, type SharedSecret } from './shared-secret.ts'
import { createThreadSubscriptions, type ThreadSubscriptions } from './thread-subscriptions.ts'
import { createWishes, type Wishes } from './wishes.ts'

/** Who may make an account. */
export interface RegistrationPolicy {
  /** Whether anybody may. */
  readonly enabled: boolean
  /** Whether they need a registration token. */
  readonly tokens: boolean
  readonly guests: boolean
  /** Whether they must show an e-mail address of theirs, which the account then has. */
  readonly email?: boolean
}

export interface Users {
  readonly accounts: Accounts
  readonly sessions: Sessions
  readonly addresses: Addresses
  readonly boundAddresses: BoundAddresses
  readonly devices: Devices
  readonly profiles: Profiles
  readonly accountData: AccountData
  readonly pushRules: PushRules
  readonly wishes: Wishes
  readonly threadSubscriptions: ThreadSubscriptions
  readonly reports: Reports
  readonly filters: Filters
  readonly interactiveAuth: InteractiveAuth
  readonly loginTokens: LoginTokens
  readonly openId: OpenId
  readonly registrationTokens: RegistrationTokens
  readonly sharedSecret: SharedSecret
  readonly registration: RegistrationPolicy
  /**
   * Closes an account: the user leaves all rooms, and can never log in again. With `erase`, what
   * their clients kept here is deleted.
   */
  deactivate(userId: UserId, options: { readonly erase: boolean }): Promise<void>
}

export interface UserNeeds {
  readonly db: Database
  readonly streams: Streams
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly argon2id: Argon2id
  /** Nothing is sent to addresses if it is not set. */
  readonly mailer: Mailer | undefined
  /** Where clients reach this server: a URL. */
  readonly publicBaseUrl: string
  readonly serverName: ServerName
  readonly rooms: Pick<Rooms, 'membershipsOf' | 'currentState' | 'send' | 'leave'>
  readonly remoteProfiles: RemoteProfiles
  readonly deviceLists: Pick<DeviceLists, 'announce'>
  readonly registration: RegistrationPolicy & { readonly sharedSecret: string | undefined }
  /** `password_hash_cost`: how often argon2id passes over its memory. */
  readonly passwordHashCost: number | undefined
}

export function createUsers(needs: UserNeeds): Users {
  const { registration } = needs
  const passwords = createPasswords({ ...needs, passes: needs.passwordHashCost })
  const sessions = createSessions(needs)
  const accountData = createAccountData(needs)
  const accounts = createAccounts({ ...needs, passwords, sessions })
  return {
    accounts,
    sessions,
    addresses: createAddresses(needs),
    boundAddresses: createBoundAddresses(needs),
    devices: createDevices({ ...needs, sessions }),
    profiles: createProfiles(needs),
    accountData,
    pushRules: createPushRules({ accountData }),
    wishes: createWishes({ ...needs, accountData }),
    threadSubscriptions: createThreadSubscriptions(needs),
    reports: createReports(needs),
    filters: createFilters(needs),
    interactiveAuth: createInteractiveAuth(needs),
    loginTokens: createLoginTokens(needs),
    openId: createOpenId({ ...needs, accounts }),
    registrationTokens: createRegistrationTokens(needs),
    sharedSecret: createSharedSecret(needs, registration.sharedSecret),
    registration,
    deactivate: async (userId, options) => {
      await accounts.deactivate(userId, options)
      await leaveAllRooms(needs, userId)
    },
  }
}

async function leaveAllRooms({ rooms, log }: UserNeeds, userId: UserId): Promise<void> {
  for (const { roomId, membership } of await rooms.membershipsOf(userId)) {
    if (membership === 'leave' || membership === 'ban') continue
    try {
      await rooms.leave({ userId, roomId, content: {} })
    } catch (error) {
      // Rooms that cannot be left, since no server of theirs answers, must not keep the others.
      log.warn('a deactivated user could not leave a room', { roomId, userId, error })
    }
  }
}
