/**
 * Sessions: who holds which token, on which device.
 *
 * A device has one access token at a time. With refresh tokens, the tokens of before stay good until
 * those that replaced them are used for the first time, so that a client which never got our answer
 * is not logged out.
 *
 * Looking a token up is part of every request: known ones are kept in memory, by their hash.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#client-authentication
 *
 * @module
 */

import type { Clock } from '#io/clock.ts'
import type { Log } from '#io/log.ts'
import type { Random } from '#io/random.ts'
import { accountLocked } from '#protocol/account-locked.ts'
import type { UserId } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import { type Database, UnitFailed, type Writer } from '#storage/database.ts'
import {
  addDevice,
  countOtherDevices,
  deleteDevices,
  deleteLoggedInDevices,
  expectNoSigningKey,
  expectNotDehydrated,
} from '#storage/devices.ts'
import {
  addToken,
  endReplaced,
  endReplacements,
  endTokensOfDevice,
  expectRefreshToken,
  type TokenRow,
  tokenByAccess,
  tokenByRefresh,
} from '#storage/sessions.ts'
import { createDeviceSightings } from './device-sightings.ts'
import type { DeviceLists } from './end-to-end/device-lists.ts'
import { type KnownSession, KnownTokens } from './known-tokens.ts'
import { hashOf, isToken, makeToken, randomWord } from './tokens.ts'

/** How long an access token is good where the client can refresh it. */
const accessTokenMs = 3_600_000

const deviceIdLengthMax = 255
const displayNameLengthMax = 100
/** What other servers take of one user, too. */
const devicesMax = 1_000

/** Who asks: a user on a device. */
export interface UserSession {
  readonly userId: UserId
  readonly deviceId: string
  readonly guest: boolean
  /** The account is of no use to whoever holds it, but that they may log out. */
  readonly locked: boolean
  /** The user may read, and do nothing that others see. */
  readonly suspended: boolean
}

/** What a client is given at login. The names are those on the wire. */
export interface Issued {
  readonly access_token: string
  readonly device_id: string
  readonly refresh_token?: string
  readonly expires_in_ms?: number
}

/** The device that logs in. */
export interface DeviceRequest {
  /** A new device is made if it is absent. */
  readonly deviceId?: string | undefined
  readonly displayName?: string | undefined
  /** Whether the client can refresh its token. */
  readonly refreshable?: boolean | undefined
}

export interface Sessions {
  /** Logs a device in, as part of a unit. Throws 400 if the device ID cannot be taken. */
  issue(tx: Writer, userId: UserId, device: DeviceRequest): Issued
  /** Logs a device in; tokens it had end. */
  login(userId: UserId, device: DeviceRequest): Promise<Issued>
  /**
   * Whose access token it is. Throws a 401 `M_UNKNOWN_TOKEN`. The device is noted as used from the
   * address, if one is given.
   */
  authenticate(token: string, remoteAddress?: string): Promise<UserSession>
  /** Gives new tokens for a refresh token. Throws a 401 `M_UNKNOWN_TOKEN` or `M_USER_LOCKED`. */
  refresh(token: string): Promise<Omit<Issued, 'device_id'>>
  /** Ends a session and deletes its device. */
  logout(session: Pick<UserSession, 'userId' | 'deviceId'>): Promise<void>
  /** Ends all sessions of a user, but that of the device `except`, and deletes their devices. */
  logoutAll(userId: UserId, except?: string): Promise<void>
  /** Forgets what is known of a user's tokens, after a unit that changed them. */
  forgetTokens(userId: UserId): void
}

export interface SessionNeeds {
  readonly db: Database
  readonly clock: Clock
  readonly random: Random
  /** A command has neither a log nor anybody to tell of devices. */
  readonly log?: Pick<Log, 'warn'>
  readonly deviceLists?: Pick<DeviceLists, 'announce'>
}

export function createSessions(needs: SessionNeeds): Sessions {
  const { db, clock, deviceLists } = needs
  const known = new KnownTokens()
  const noteSighting = createDeviceSightings(needs)
  const issue: Sessions['issue'] = (tx, userId, device) => issueToDevice(needs, tx, userId, device)
  return {
    issue,
    login: async (userId, device) => {
      await checkRoom(db, userId, device.deviceId ?? '')
      const { deviceId } = device
      const collect = (tx: Writer) => {
        if (deviceId !== undefined) {
          expectNoSigningKey(tx, userId, deviceId)
          expectNotDehydrated(tx, userId, deviceId)
        }
        return issue(tx, userId, device)
      }
      const issued = await db.write(collect).catch(asDeviceIdInUse)
      known.forget(userId)
      await deviceLists?.announce(userId)
      return issued
    },
    authenticate: async (token, remoteAddress) => {
      if (!isToken('access', token)) throw unknownToken()
      const { expiresTs, ...session } = await findSession(db, known, hashOf(token))
      // The session is still there, the client may refresh its token.
      if (expiresTs !== null && expiresTs <= clock.now()) throw unknownToken(true)
      if (remoteAddress !== undefined) noteSighting(session, remoteAddress)
      return session
    },
    refresh: async (token) => {
      const hash = hashOf(token)
      const row = isToken('refresh', token) ? await tokenByRefresh(db, hash) : undefined
      if (row === undefined) throw unknownToken(true)
      if (row.locked === 1) throw accountLocked()
      const issued = await db.write((tx) => rotate(needs, tx, row, hash)).catch(asUnknownToken)
      known.forget(row.user_id)
      return issued
    },
    logout: async ({ userId, deviceId }) => {
      await db.write((tx) => deleteDevices(tx, userId, [deviceId]))
      known.forget(userId)
      await deviceLists?.announce(userId)
    },
    logoutAll: async (userId, except) => {
      await db.write((tx) => deleteLoggedInDevices(tx, userId, except))
      known.forget(userId)
      await deviceLists?.announce(userId)
    },
    forgetTokens: (userId) => known.forget(userId),
  }
}

async function findSession(db: Database, known: KnownTokens, hash: string): Promise<KnownSession> {
  const remembered = known.get(hash)
  if (remembered !== undefined) return remembered
  const forgettingsBefore = known.forgettings
  const row = await tokenByAccess(db, hash)
  if (row === undefined) throw unknownToken()
  if (row.replaces !== null) {
    await db.write((tx) => endReplaced(tx, row))
    known.forget(row.user_id)
  }
  const found = {
    userId: row.user_id,
    deviceId: row.device_id,
    guest: row.guest === 1,
    locked: row.locked === 1,
    suspended: row.suspended === 1,
    expiresTs: row.expires_ts,
  }
  if (known.forgettings === forgettingsBefore) known.set(hash, found)
  return found
}

function issueToDevice(
  { clock, random }: { clock: Clock; random: Random },
  tx: Writer,
  userId: UserId,
  device: DeviceRequest,
): Issued {
  const deviceId = device.deviceId ?? randomWord(random, 10).toUpperCase()
  const displayName = device.displayName?.replaceAll('\0', '').slice(0, displayNameLengthMax)
  checkDeviceId(deviceId)
  // The server may invalidate any access token previously associated with that device.
  endTokensOfDevice(tx, userId, deviceId)
  addDevice(tx, { userId, deviceId, displayName, now: clock.now() })
  const refreshable = device.refreshable ?? false
  const to = { userId, deviceId, refreshable, replaces: null }
  return { ...issueTokens({ clock, random }, tx, to), device_id: deviceId }
}

// The old refresh token remains valid until the new access token or refresh token is used, at which
// point the old refresh token is revoked.
function rotate(
  needs: { clock: Clock; random: Random },
  tx: Writer,
  row: TokenRow,
  hash: string,
): Omit<Issued, 'device_id'> {
  expectRefreshToken(tx, hash)
  if (row.replaces !== null) endReplaced(tx, row)
  endReplacements(tx, hash)
  const { user_id: userId, device_id: deviceId } = row
  return issueTokens(needs, tx, { userId, deviceId, refreshable: true, replaces: hash })
}

function issueTokens(
  { clock, random }: { clock: Clock; random: Random },
  tx: Writer,
  to: { userId: UserId; deviceId: string; refreshable: boolean; replaces: string | null },
): Omit<Issued, 'device_id'> {
  const access = makeToken(random, 'access')
  const refresh = to.refreshable ? makeToken(random, 'refresh') : undefined
  addToken(tx, {
    access_hash: hashOf(access),
    refresh_hash: refresh === undefined ? null : hashOf(refresh),
    user_id: to.userId,
    device_id: to.deviceId,
    expires_ts: refresh === undefined ? null : clock.now() + accessTokenMs,
    replaces: to.replaces,
  })
  if (refresh === undefined) return { access_token: access }
  return { access_token: access, refresh_token: refresh, expires_in_ms: accessTokenMs }
}

/** Servers MUST not allow devices to have the same IDs as cross-signing keys. */
function asDeviceIdInUse(error: unknown): never {
  if (!(error instanceof UnitFailed) || error.kind !== 'expectation') throw error
  const problem = 'This is the ID of a cross-signing key of yours, or of your dehydrated device.'
  throw new MatrixError(403, 'M_FORBIDDEN', problem, { cause: error })
}

function unknownToken(softLogout = false): MatrixError {
  const options = softLogout ? { extra: { soft_logout: true } } : {}
  return new MatrixError(
    401,
    'M_UNKNOWN_TOKEN',
    'The token is not known, or not any more.',
    options,
  )
}

function asUnknownToken(error: unknown): never {
  if (error instanceof UnitFailed && error.kind === 'expectation') throw unknownToken(true)
  throw error
}

async function checkRoom(db: Database, userId: UserId, deviceId: string): Promise<void> {
  if ((await countOtherDevices(db, userId, deviceId)) < devicesMax) return
  const problem = `There are ${devicesMax} devices already: delete some.`
  throw new MatrixError(400, 'M_RESOURCE_LIMIT_EXCEEDED', problem)
}

function checkDeviceId(deviceId: string): void {
  if (deviceId !== '' && deviceId.length <= deviceIdLengthMax && !deviceId.includes('\0')) return
  const expected = `The device ID must have 1 to ${deviceIdLengthMax} characters.`
  throw new MatrixError(400, 'M_INVALID_PARAM', expected)
}
