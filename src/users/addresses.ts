/**
 * The e-mail addresses of users, and how they show that one is theirs: a mail is sent there with a link,
 * and whoever opens it and says so has it.
 *
 * A session is good for the one address that the mail went to and the one purpose it was asked for, once,
 * and not for long. What a link opens is a page; only what is sent from there counts, for mail servers
 * look into links too.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#adding-account-administrative-contact-information
 *
 * @module
 */

import { timingSafeEqual } from 'node:crypto'
import type { Clock } from '#io/clock.ts'
import type { Log } from '#io/log.ts'
import { type Mailer, MailFailure } from '#io/mailer.ts'
import type { Random } from '#io/random.ts'
import { TokenBuckets } from '#io/token-buckets.ts'
import type { ServerName, UserId } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import {
  type AddressRow,
  type AddressSessionRow,
  addAddress,
  addressesOf,
  addressSession,
  addressSessionFor,
  deleteAddress,
  deleteAddressSessions,
  deleteOldAddressSessions,
  putAddressSession,
  useAddressSession,
  userOfAddress,
} from '#storage/addresses.ts'
import { type Database, UnitFailed, type Writer } from '#storage/database.ts'
import { hashOf, randomWord } from './tokens.ts'

/** What somebody wants to do with an address. */
export type AddressPurpose = 'add' | 'register' | 'password'

export interface MailRequest {
  readonly purpose: AddressPurpose
  readonly email: string
  readonly clientSecret: string
  readonly sendAttempt: number
  readonly nextLink: string | undefined
}

/** A session in which an address was shown to be somebody's. */
export interface ShownAddress {
  readonly sid: string
  readonly address: string
  readonly validatedTs: number
}

export interface Addresses {
  /** Whether mail can be sent. */
  readonly canSend: boolean
  of(userId: UserId): Promise<AddressRow[]>
  userOf(address: string): Promise<UserId | undefined>
  /** Sends a mail, unless it was sent already, and gives the session. Throws a `MatrixError`. */
  sendMail(request: MailRequest): Promise<string>
  /** Whether a link is still good. */
  isGood(link: Link): Promise<boolean>
  /** Takes a link for good, once; gives where to go on, if it was said. `undefined` for a bad link. */
  confirm(link: Link): Promise<{ readonly nextLink: string | undefined } | undefined>
  /** What a session of a client has shown, for a purpose. Throws 403 `M_THREEPID_AUTH_FAILED`. */
  shown(session: {
    readonly sid: string
    readonly clientSecret: string
    readonly purpose: AddressPurpose
  }): Promise<ShownAddress>
  /** Gives a user an address. Throws 400 `M_THREEPID_IN_USE`. */
  add(userId: UserId, shown: ShownAddress): Promise<void>
  /** The same, in the commit of something else; `addressRefusal` makes an error of why it failed. */
  addIn(tx: Writer, userId: UserId, shown: ShownAddress): void
  /** Ends a session in the commit of what it was for. */
  useIn(tx: Writer, shown: ShownAddress): void
  delete(userId: UserId, address: string): Promise<void>
}

/** What is in the link of a mail. */
export interface Link {
  readonly sid: string
  readonly token: string
}

export interface AddressNeeds {
  readonly db: Database
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly serverName: ServerName
  /** Where clients reach this server. */
  readonly publicBaseUrl: string
  readonly mailer: Mailer | undefined
}

/** Where the page is that a link leads to. */
const confirmPath = '/_hansa/client/v1/confirm_address'

/** How long a mail is good, and then what it showed. */
const sessionMs = 3_600_000
/** How often a link of a session may be wrong. */
const failuresMax = 10
/** How many addresses a user may have. */
const addressesMax = 20
/** How often one address is written to. */
const perAddress = { perSecond: 5 / 3600, burst: 5 }

const taken = 'somebody has the address'
const used = 'the session was used already'

export function createAddresses(needs: AddressNeeds): Addresses {
  const { db, clock, mailer } = needs
  const buckets = new TokenBuckets(clock)
  const addIn = (tx: Writer, userId: UserId, { sid, address, validatedTs }: ShownAddress) => {
    useAddressSession(tx, sid, used)
    const row = { address, validated_ts: validatedTs, added_ts: clock.now() }
    addAddress(tx, userId, row, taken)
  }
  return {
    canSend: mailer !== undefined,
    of: (userId) => addressesOf(db, userId),
    userOf: (address) => userOfAddress(db, canonicalAddress(address)),
    sendMail: async (request) => {
      if (mailer === undefined) {
        const message = 'This server sends no e-mail.'
        throw new MatrixError(400, 'M_THREEPID_MEDIUM_NOT_SUPPORTED', message)
      }
      return await sendMail({ ...needs, mailer, buckets }, request)
    },
    isGood: async (link) => (await sessionOf(needs, link)) !== undefined,
    confirm: (link) => confirm(needs, link),
    shown: (session) => shown(needs, session),
    add: async (userId, address) => {
      if ((await addressesOf(db, userId)).length >= addressesMax) {
        const message = `A user has at most ${addressesMax} addresses.`
        throw new MatrixError(400, 'M_INVALID_PARAM', message)
      }
      await db
        .write((tx) => addIn(tx, userId, address))
        .catch((error: unknown) => {
          throw addressRefusal(error) ?? error
        })
    },
    addIn,
    useIn: (tx, { sid, address }) => {
      useAddressSession(tx, sid, used)
      // Whoever else asked for a mail to the address may not have what is sent there any more.
      deleteAddressSessions(tx, address)
    },
    delete: (userId, address) =>
      db.write((tx) => deleteAddress(tx, userId, canonicalAddress(address))),
  }
}

/** What the client is told if a unit with `addIn` or `useIn` failed for one of them. */
export function addressRefusal(error: unknown): MatrixError | undefined {
  if (!(error instanceof UnitFailed) || error.kind !== 'expectation') return undefined
  if (error.message === taken) return inUse()
  return error.message === used ? notShown() : undefined
}

async function sendMail(
  needs: AddressNeeds & { readonly mailer: Mailer; readonly buckets: TokenBuckets },
  request: MailRequest,
): Promise<string> {
  const { db, clock, random, buckets } = needs
  const { purpose, sendAttempt } = request
  const address = addressIn(request.email)
  const client_secret = secretIn(request.clientSecret)
  const next_link = linkIn(request.nextLink)
  await requireOwner(needs, purpose, address)
  const known = await addressSessionFor(db, { address, client_secret, purpose })
  const now = clock.now()
  const isLive = known !== undefined && known.expires_ts > now
  // The server will only send an email if the send_attempt is a number greater than the most recent one
  // which it has seen.
  if (isLive && sendAttempt <= known.send_attempt) return known.sid
  const waitMs = buckets.take({ key: address, limit: perAddress })
  if (waitMs > 0) throw MatrixError.limitExceeded(waitMs, 'This address was written to often.')
  const token = randomWord(random, 32)
  const session: AddressSessionRow = {
    sid: isLive ? known.sid : randomWord(random, 24),
    address,
    client_secret,
    purpose,
    send_attempt: sendAttempt,
    token_hash: hashOf(token),
    next_link,
    failures: 0,
    expires_ts: now + sessionMs,
    validated_ts: null,
  }
  await db.write((tx) => {
    deleteOldAddressSessions(tx, now)
    putAddressSession(tx, session)
  })
  await deliver(needs, session, { sid: session.sid, token })
  return session.sid
}

/** A failure must not keep the client from asking again with the same attempt. */
async function deliver(
  { db, log, mailer, serverName, publicBaseUrl }: AddressNeeds & { readonly mailer: Mailer },
  session: AddressSessionRow,
  link: Link,
): Promise<void> {
  const url = new URL(confirmPath, publicBaseUrl)
  url.search = new URLSearchParams({ ...link }).toString()
  try {
    await mailer.send({ to: session.address, ...mailFor(session.purpose, { serverName, url }) })
  } catch (error) {
    if (!(error instanceof MailFailure)) throw error
    await db.write((tx) => putAddressSession(tx, { ...session, send_attempt: -1 }))
    log.warn('a mail could not be sent', { error })
    if (error.isRefusal) throw invalid('The mail server takes no mail for this address.')
    throw new MatrixError(502, 'M_UNKNOWN', 'The mail could not be sent. Try again later.')
  }
}

const wishes: Readonly<Record<string, string>> = {
  add: 'to add this address to an account',
  register: 'to make an account with this address',
  password: 'to set another password for the account with this address',
}

function mailFor(
  purpose: string,
  { serverName, url }: { readonly serverName: ServerName; readonly url: URL },
): { readonly subject: string; readonly text: string } {
  return {
    subject: `Confirm your address for ${serverName}`,
    text: [
      `Somebody wants ${wishes[purpose]} at ${serverName}.`,
      '',
      'If it was you, open this page within an hour and confirm it:',
      '',
      url.href,
      '',
      'If it was not you, there is nothing to do: without you nothing happens.',
      '',
    ].join('\n'),
  }
}

/** An address that is to be added or registered is nobody's yet; one that resets a password is somebody's. */
async function requireOwner(
  { db }: AddressNeeds,
  purpose: AddressPurpose,
  address: string,
): Promise<void> {
  const owner = await userOfAddress(db, address)
  if (purpose === 'password' && owner === undefined) {
    throw new MatrixError(400, 'M_THREEPID_NOT_FOUND', 'No account has this address.')
  }
  if (purpose !== 'password' && owner !== undefined) throw inUse()
}

/** The session that a link is of, unless it is over; a wrong link is counted. */
async function sessionOf(
  { db, clock }: AddressNeeds,
  { sid, token }: Link,
): Promise<AddressSessionRow | undefined> {
  const session = await addressSession(db, sid)
  if (session === undefined || session.expires_ts <= clock.now()) return undefined
  if (session.failures >= failuresMax) return undefined
  const isRight = timingSafeEqual(Buffer.from(hashOf(token)), Buffer.from(session.token_hash))
  if (isRight) return session
  await db.write((tx) => putAddressSession(tx, { ...session, failures: session.failures + 1 }))
  return undefined
}

async function confirm(
  needs: AddressNeeds,
  link: Link,
): Promise<{ readonly nextLink: string | undefined } | undefined> {
  const session = await sessionOf(needs, link)
  if (session === undefined) return undefined
  const now = needs.clock.now()
  if (session.validated_ts === null) {
    const validated = { ...session, validated_ts: now, expires_ts: now + sessionMs }
    await needs.db.write((tx) => putAddressSession(tx, validated))
  }
  return { nextLink: session.next_link ?? undefined }
}

async function shown(
  { db, clock }: AddressNeeds,
  wanted: { readonly sid: string; readonly clientSecret: string; readonly purpose: AddressPurpose },
): Promise<ShownAddress> {
  const session = await addressSession(db, wanted.sid)
  const isGood =
    session !== undefined &&
    session.client_secret === wanted.clientSecret &&
    session.purpose === wanted.purpose &&
    session.expires_ts > clock.now()
  if (!isGood || session.validated_ts === null) throw notShown()
  return { sid: session.sid, address: session.address, validatedTs: session.validated_ts }
}

/** Addresses are compared without regard to case. */
function canonicalAddress(text: string): string {
  return text.toLowerCase()
}

/**
 * An address as mail servers take it without quoting: what it could be is far more, but then it could
 * also stand for several.
 */
function addressIn(text: string): string {
  const address = canonicalAddress(text.trim())
  const isSound =
    address.length <= 254 &&
    /^[a-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(
      address,
    )
  if (isSound) return address
  throw invalid("'email' is no e-mail address that this server can write to.")
}

function secretIn(text: string): string {
  if (/^[0-9a-zA-Z.=_-]{1,255}$/.test(text)) return text
  throw invalid("'client_secret' has 1 to 255 of the characters 0-9, a-z, A-Z and . = _ -")
}

function linkIn(text: string | undefined): string | null {
  if (text === undefined || text === '') return null
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url && ['http:', 'https:'].includes(url.protocol) && url.username === '') return url.href
  throw invalid("'next_link' must be an http or https URL.")
}

function invalid(message: string): MatrixError {
  return new MatrixError(400, 'M_INVALID_PARAM', message)
}

function inUse(): MatrixError {
  return new MatrixError(400, 'M_THREEPID_IN_USE', 'Somebody has this address already.')
}

/** The credentials could not be verified. */
function notShown(): MatrixError {
  const message = 'The address was not confirmed in this session, or too long ago.'
  return new MatrixError(403, 'M_THREEPID_AUTH_FAILED', message)
}
