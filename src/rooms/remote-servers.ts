/**
 * What the rooms ask of other servers and of the keys of other servers. `federation/` answers, the
 * rooms do not know how. PDUs are the bytes in which they came: only `admitPdus` reads them.
 *
 * Every function throws `FederationError` when the other server fails us.
 *
 * @module
 */

import type { VerifyKey } from '#io/pdu-checker.ts'
import type { EventId, RoomId, ServerName, UserId } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'

/** Another server fails us. */
export class FederationError extends Error {
  readonly destination: ServerName
  /** `refused` holds the answer's status and errcode; `bad-answer` is an answer we cannot use. */
  readonly kind: 'unreachable' | 'backing-off' | 'refused' | 'bad-answer'
  readonly status: number | undefined
  readonly errcode: string | undefined
  /** For how long the server asks to be left alone, if it does; never longer than the longest back-off. */
  readonly retryAfterMs: number | undefined
  /** The body of a refusal, if it was a JSON object (`room_version` of an incompatible version). */
  readonly body: JsonObject | undefined

  constructor(
    destination: ServerName,
    kind: FederationError['kind'],
    message: string,
    options: {
      status?: number
      errcode?: string
      retryAfterMs?: number | undefined
      body?: JsonObject
      cause?: unknown
    } = {},
  ) {
    super(message, { cause: options.cause })
    this.name = 'FederationError'
    this.destination = destination
    this.kind = kind
    this.status = options.status
    this.errcode = options.errcode
    this.retryAfterMs = options.retryAfterMs
    this.body = options.body
  }

  /** The same, if a user can be asked to wait for so long: an hour at most. */
  get userWaitMs(): number | undefined {
    const { retryAfterMs = Number.POSITIVE_INFINITY } = this
    return retryAfterMs <= userWaitMsMax ? retryAfterMs : undefined
  }
}

const userWaitMsMax = 3_600_000

/** The template of a membership event, as `make_join`, `make_leave` and `make_knock` give it. */
export interface MembershipTemplate {
  /** Absent where the answer has none; the spec then says version 1. */
  readonly roomVersion: string | undefined
  readonly event: JsonObject
}

/** A room's state as another server gives it. */
export interface RemoteState {
  readonly state: readonly Uint8Array[]
  readonly authChain: readonly Uint8Array[]
}

export interface RemoteServers {
  makeJoin(
    destination: ServerName,
    request: { roomId: RoomId; userId: UserId; versions: readonly string[] },
  ): Promise<MembershipTemplate>
  /** Version 2 of the operation, and version 1 where the other server does not know it. */
  sendJoin(
    destination: ServerName,
    request: { roomId: RoomId; eventId: EventId; event: Uint8Array },
  ): Promise<
    RemoteState & {
      /** Our event as the resident server signed it (restricted joins). */
      readonly event: Uint8Array | undefined
      readonly serversInRoom: readonly string[] | undefined
      readonly membersOmitted: boolean
    }
  >
  makeLeave(
    destination: ServerName,
    request: { roomId: RoomId; userId: UserId },
  ): Promise<MembershipTemplate>
  sendLeave(
    destination: ServerName,
    request: { roomId: RoomId; eventId: EventId; event: Uint8Array },
  ): Promise<void>
  makeKnock(
    destination: ServerName,
    request: { roomId: RoomId; userId: UserId; versions: readonly string[] },
  ): Promise<MembershipTemplate>
  sendKnock(
    destination: ServerName,
    request: { roomId: RoomId; eventId: EventId; event: Uint8Array },
  ): Promise<{ readonly knockRoomState: readonly Uint8Array[] }>
  /** Version 2, and version 1 for room versions 1 and 2 where the other server does not know it. Gives the event with both signatures. */
  invite(
    destination: ServerName,
    request: {
      roomId: RoomId
      eventId: EventId
      roomVersion: string
      event: Uint8Array
      /** State events of the room as PDUs, the create event among them. */
      inviteRoomState: readonly Uint8Array[]
    },
  ): Promise<Uint8Array>
  /** Asks for an invite of one of our users who took up an invitation of an address. */
  exchangeThirdPartyInvite(
    destination: ServerName,
    request: { roomId: RoomId; event: JsonObject },
  ): Promise<void>
  backfill(
    destination: ServerName,
    request: { roomId: RoomId; from: readonly EventId[]; limit: number },
  ): Promise<readonly Uint8Array[]>
  missingEvents(
    destination: ServerName,
    request: {
      roomId: RoomId
      earliest: readonly EventId[]
      latest: readonly EventId[]
      limit: number
    },
  ): Promise<readonly Uint8Array[]>
  stateIds(
    destination: ServerName,
    request: { roomId: RoomId; eventId: EventId },
  ): Promise<{ readonly stateIds: readonly EventId[]; readonly authChainIds: readonly EventId[] }>
  state(
    destination: ServerName,
    request: { roomId: RoomId; eventId: EventId },
  ): Promise<RemoteState>
  event(destination: ServerName, request: { eventId: EventId }): Promise<Uint8Array>
  eventAuth(
    destination: ServerName,
    request: { roomId: RoomId; eventId: EventId },
  ): Promise<readonly Uint8Array[]>
  /** The signature of a policy server under an event; `undefined` if it gives none. */
  askPolicyServer(
    destination: ServerName,
    request: { event: Uint8Array },
  ): Promise<string | undefined>
  /** The event that was sent nearest to a time, in one direction. */
  eventByTime(
    destination: ServerName,
    request: { roomId: RoomId; ts: number; direction: 'backwards' | 'forwards' },
  ): Promise<{ readonly eventId: EventId; readonly ts: number }>
}

/** Which key of a server a signature needs. */
export interface KeyNeed {
  readonly server: ServerName
  readonly keyId: string
  /** When the signature was made. A key that was not valid then is asked for anew. */
  readonly at: number
}

/** The public keys of other servers: from memory, the store, the server itself, or a notary. */
export interface Keyring {
  /** The keys that can be had, in no order; those that cannot are left out. Never throws. */
  verifyKeys(needs: readonly KeyNeed[]): Promise<VerifyKey[]>
}

/** Our own signing key. Only what this server built, or an invite it checked, is ever signed. */
export interface Signer {
  readonly serverName: ServerName
  readonly keyId: string
  /** The raw public key, 32 bytes. */
  readonly publicKey: Uint8Array
  /** A raw Ed25519 signature, 64 bytes. */
  sign(message: Uint8Array): Uint8Array
}
