/**
 * The accounts of this server: making, checking and closing them.
 *
 * @module
 */

import type { Clock } from '#io/clock.ts'
import type { Random } from '#io/random.ts'
import { TokenBuckets } from '#io/token-buckets.ts'
import { accountLocked } from '#protocol/account-locked.ts'
import { localpartOf, serverNameOf } from '#protocol/identifiers/common-format.ts'
import type { ServerName, UserId } from '#protocol/identifiers/ids.ts'
import { parseUserId, userIdFor } from '#protocol/identifiers/user-id.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import { deleteAccountData } from '#storage/account-data.ts'
import {
  type AccountRow,
  accountOf,
  accountsAfter,
  addAccount,
  deactivateAccount,
  eraseAccount,
  setLocked,
  setPasswordHash,
  setSuspended,
} from '#storage/accounts.ts'
import { deleteAddresses } from '#storage/addresses.ts'
import { deleteCrossSigning } from '#storage/cross-signing.ts'
import { type Database, type Reader, UnitFailed, type Writer } from '#storage/database.ts'
import { deleteAllDevices } from '#storage/devices.ts'
import { deleteFilters } from '#storage/filters.ts'
import { deleteBackups } from '#storage/key-backups.ts'
import { deleteProfile, setProfileField } from '#storage/profiles.ts'
import { useRegistrationToken } from '#storage/registration-tokens.ts'
import { deleteThreadSubscriptions } from '#storage/thread-subscriptions.ts'
import { deleteDirectoryUser, putDirectoryUser, shownBy } from '#storage/user-directory.ts'
import { addressRefusal } from './addresses.ts'
import type { DeviceLists } from './end-to-end/device-lists.ts'
import type { Passwords } from './passwords.ts'
import type { DeviceRequest, Issued, Sessions } from './sessions.ts'
import { randomWord } from './tokens.ts'

/** Wrong passwords for one account. Who knows it gets it wrong a few times, who does not wants millions. */
const guessLimit = { perSecond: 0.05, burst: 50 }

export interface Account {
  readonly userId: UserId
  readonly guest: boolean
  readonly admin: boolean
  readonly createdTs: number
  readonly deactivatedTs: number | undefined
  readonly locked: boolean
  readonly suspended: boolean
}

export interface NewAccount {
  /** One is made up if it is absent. */
  readonly username?: string | undefined
  /** Nobody can log in with a password if it is absent. */
  readonly password?: string | undefined
  readonly displayName?: string | undefined
  readonly guest?: boolean
  readonly admin?: boolean
  /** A use of this token is counted. */
  readonly registrationToken?: string | undefined
  /** Statements for the commit of the account, to be durable with it. */
  readonly alongside?: ((tx: Writer, userId: UserId) => void) | undefined
  /** The device to log in; nobody is logged in if it is absent. */
  readonly device?: DeviceRequest | undefined
}

export interface Accounts {
  /** The ID that an account with this name would have. Throws `M_INVALID_USERNAME` or `M_USER_IN_USE`. */
  checkUsername(username: string): Promise<UserId>
  register(account: NewAccount): Promise<{ userId: UserId; issued: Issued | undefined }>
  /** An account, also a deactivated one. */
  account(userId: UserId): Promise<Account | undefined>
  /** Whether it is an account of this server that is not deactivated. */
  exists(userId: UserId): Promise<boolean>
  /** A page of accounts in the order of their IDs; `after` is empty for the first. */
  list(after: string, limit: number): Promise<Account[]>
  /** The local user that `text`, a user ID or a localpart, names; or `undefined`. */
  userIdNamed(text: string): UserId | undefined
  /**
   * Whether it is the user's password; takes the same time for users there are not. Throws a 429 when
   * too many were wrong lately, wherever they came from.
   */
  checkPassword(userId: UserId | undefined, password: string): Promise<boolean>
  /** `alongside` adds to the commit. */
  setPassword(userId: UserId, password: string, alongside?: (tx: Writer) => void): Promise<void>
  /** Locks an account, or lifts that. */
  setLocked(userId: UserId, locked: boolean): Promise<void>
  /** Suspends an account, or lifts that. */
  setSuspended(userId: UserId, suspended: boolean): Promise<void>
  /** Throws a 401 `M_USER_LOCKED` if the account is locked. */
  requireUnlocked(userId: UserId): Promise<void>
  /**
   * Closes the account for good: its sessions end and its profile is deleted; with `erase`, all that
   * its clients kept here is deleted too, and what the user said is told to nobody who was not there.
   */
  deactivate(userId: UserId, options: { readonly erase: boolean }): Promise<void>
}

export interface AccountNeeds {
  readonly db: Database
  readonly clock: Clock
  readonly random: Random
  readonly serverName: ServerName
  readonly passwords: Passwords
  readonly sessions: Sessions
  /** A command has nobody to tell of devices. */
  readonly deviceLists?: Pick<DeviceLists, 'announce'>
}

export function createAccounts(needs: AccountNeeds): Accounts {
  const { db, clock, passwords, sessions, serverName } = needs
  const guesses = new TokenBuckets(clock)
  const account = async (userId: UserId) => {
    const row = await accountOf(db, userId)
    return row && accountFrom(row)
  }
  return {
    account,
    checkUsername: (username) => checkUsername(db, serverName, username),
    register: (request) => register(needs, request),
    exists: async (userId) => {
      if (serverNameOf(userId) !== serverName) return false
      const found = await account(userId)
      return found !== undefined && found.deactivatedTs === undefined
    },
    list: async (after, limit) => (await accountsAfter(db, after, limit)).map(accountFrom),
    userIdNamed: (text) => userIdNamed(serverName, text),
    checkPassword: async (userId, password) => {
      const guessing = { key: userId ?? '', limit: guessLimit }
      // It is taken back if it was no guess. So as many at once are no more than one after the other.
      const waitMs = guesses.take(guessing)
      if (waitMs > 0) {
        throw MatrixError.limitExceeded(waitMs, 'Too many passwords were wrong.')
      }
      const row = userId && (await accountOf(db, userId))
      const hash = row?.deactivated_ts === null ? row.password_hash : undefined
      const isRight = await passwords.verify(hash ?? undefined, password)
      if (isRight) guesses.spend(-1, guessing)
      return isRight
    },
    setPassword: async (userId, password, alongside) => {
      const hash = await passwords.hash(password)
      await db.write((tx) => {
        setPasswordHash(tx, userId, hash)
        alongside?.(tx)
      })
    },
    setLocked: async (userId, locked) => {
      await db.write((tx) => setLocked(tx, userId, locked))
      sessions.forgetTokens(userId)
    },
    setSuspended: async (userId, suspended) => {
      await db.write((tx) => setSuspended(tx, userId, suspended))
      sessions.forgetTokens(userId)
    },
    requireUnlocked: async (userId) => {
      if ((await account(userId))?.locked) throw accountLocked()
    },
    deactivate: async (userId, { erase }) => {
      await db.write((tx) => {
        deactivateAccount(tx, userId, clock.now())
        deleteAllDevices(tx, userId)
        deleteCrossSigning(tx, userId)
        deleteProfile(tx, userId)
        deleteDirectoryUser(tx, userId)
        deleteAddresses(tx, userId)
        if (!erase) return
        eraseAccount(tx, userId, clock.now())
        deleteAccountData(tx, userId)
        deleteThreadSubscriptions(tx, userId)
        deleteFilters(tx, userId)
        deleteBackups(tx, userId)
      })
      sessions.forgetTokens(userId)
      await needs.deviceLists?.announce(userId)
    },
  }
}

async function checkUsername(
  db: Reader,
  serverName: ServerName,
  username: string,
): Promise<UserId> {
  // The server MUST either map the provided username onto a user_id in a logical manner, or reject
  // any username which does not comply to the grammar with M_INVALID_USERNAME.
  const userId = userIdFor(username.toLowerCase(), serverName)
  if (userId === undefined) {
    const allowed = 'a to z, 0 to 9 and . _ = - / +'
    throw new MatrixError(
      400,
      'M_INVALID_USERNAME',
      `A username has only ${allowed}, and its user ID at most 255 characters.`,
    )
  }
  // By custom, names that begin so belong to application services.
  if (username.startsWith('_')) {
    throw new MatrixError(400, 'M_INVALID_USERNAME', 'A username may not begin with _.')
  }
  if ((await accountOf(db, userId)) !== undefined) throw userInUse()
  return userId
}

async function register(
  needs: AccountNeeds,
  request: NewAccount,
): Promise<{ userId: UserId; issued: Issued | undefined }> {
  const { db, clock, passwords, sessions } = needs
  const username = request.username ?? randomWord(needs.random, 12)
  const userId = await checkUsername(db, needs.serverName, username)
  const { password } = request
  const passwordHash = password === undefined ? undefined : await passwords.hash(password)
  const collect = (tx: Writer) => {
    const now = clock.now()
    if (request.registrationToken !== undefined) {
      useRegistrationToken(tx, request.registrationToken, now)
    }
    const { guest = false, admin = false, displayName } = request
    addAccount(tx, { userId, passwordHash, guest, admin, now })
    if (displayName) setProfileField(tx, userId, 'displayname', JSON.stringify(displayName))
    putDirectoryUser(tx, userId, shownBy({ displayname: displayName ?? '' }))
    request.alongside?.(tx, userId)
    return request.device && sessions.issue(tx, userId, request.device)
  }
  const issued = await db.write(collect).catch(asRefusal)
  await needs.deviceLists?.announce(userId)
  return { userId, issued }
}

/** Somebody else was faster with the name, or with the last use of the token. */
function asRefusal(error: unknown): never {
  if (!(error instanceof UnitFailed)) throw error
  if (error.kind === 'unique') throw userInUse()
  const ofAddress = addressRefusal(error)
  if (ofAddress !== undefined) throw ofAddress
  if (error.kind !== 'expectation') throw error
  throw new MatrixError(401, 'M_UNAUTHORIZED', 'The registration token is not valid.')
}

function userIdNamed(serverName: ServerName, text: string): UserId | undefined {
  const userId = text.startsWith('@') ? parseUserId(text) : parseUserId(`@${text}:${serverName}`)
  if (userId === undefined || serverNameOf(userId) !== serverName) return undefined
  return `@${localpartOf(userId).toLowerCase()}:${serverName}`
}

function accountFrom(row: AccountRow): Account {
  return {
    userId: row.user_id,
    guest: row.guest === 1,
    admin: row.admin === 1,
    createdTs: row.created_ts,
    deactivatedTs: row.deactivated_ts ?? undefined,
    locked: row.locked === 1,
    suspended: row.suspended === 1,
  }
}

function userInUse(): MatrixError {
  return new MatrixError(400, 'M_USER_IN_USE', 'This user ID is taken.')
}
