/**
 * The one error that is shown to whoever asked: an HTTP status, an `errcode` of the spec and a
 * sentence they can act on. Everything else that is thrown becomes a 500 without details.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#standard-error-response
 *
 * @module
 */

/** The error codes Hansa answers with: the spec's, and those of proposals with a domain in front. */
export type ErrCode =
  | 'IO.ELEMENT.MSC4306.M_CONFLICTING_UNSUBSCRIPTION'
  | 'IO.ELEMENT.MSC4306.M_NOT_IN_THREAD'
  | 'M_BAD_ALIAS'
  | 'M_BAD_JSON'
  | 'M_BAD_STATE'
  | 'M_CANNOT_LEAVE_SERVER_NOTICE_ROOM'
  | 'M_CANNOT_OVERWRITE_MEDIA'
  | 'M_DUPLICATE_ANNOTATION'
  | 'M_EXCLUSIVE'
  | 'M_FORBIDDEN'
  | 'M_GUEST_ACCESS_FORBIDDEN'
  | 'M_INCOMPATIBLE_ROOM_VERSION'
  | 'M_INVALID_PARAM'
  | 'M_INVALID_ROOM_STATE'
  | 'M_INVALID_SIGNATURE'
  | 'M_INVALID_USERNAME'
  | 'M_INVITE_BLOCKED'
  | 'M_KEY_TOO_LARGE'
  | 'M_LIMIT_EXCEEDED'
  | 'M_MISSING_PARAM'
  | 'M_MISSING_TOKEN'
  | 'M_NOT_FOUND'
  | 'M_NOT_JSON'
  | 'M_NOT_YET_UPLOADED'
  | 'M_PROFILE_TOO_LARGE'
  | 'M_RESOURCE_LIMIT_EXCEEDED'
  | 'M_ROOM_IN_USE'
  | 'M_TERMS_NOT_SIGNED'
  | 'M_THREEPID_AUTH_FAILED'
  | 'M_THREEPID_IN_USE'
  | 'M_THREEPID_MEDIUM_NOT_SUPPORTED'
  | 'M_THREEPID_NOT_FOUND'
  | 'M_TOO_LARGE'
  | 'M_UNABLE_TO_AUTHORISE_JOIN'
  | 'M_UNABLE_TO_GRANT_JOIN'
  | 'M_UNAUTHORIZED'
  | 'M_UNKNOWN'
  | 'M_UNKNOWN_POS'
  | 'M_UNKNOWN_TOKEN'
  | 'M_UNRECOGNIZED'
  | 'M_UNSUPPORTED_ROOM_VERSION'
  | 'M_USER_DEACTIVATED'
  | 'M_USER_IN_USE'
  | 'M_USER_LOCKED'
  | 'M_USER_SUSPENDED'
  | 'M_WEAK_PASSWORD'
  | 'M_WRONG_ROOM_KEYS_VERSION'

/** An error answer. `extra` holds further keys of the body, such as `retry_after_ms` or `flows`. */
export class MatrixError extends Error {
  readonly status: number
  readonly errcode: ErrCode
  readonly extra: Readonly<Record<string, unknown>>

  constructor(
    status: number,
    errcode: ErrCode,
    message: string,
    options: { extra?: Readonly<Record<string, unknown>>; cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause })
    this.name = 'MatrixError'
    this.status = status
    this.errcode = errcode
    this.extra = options.extra ?? {}
  }

  /** What another server says, with whatever code it gave. */
  static verbatim(
    status: number,
    errcode: string,
    message: string,
    options: { extra?: Readonly<Record<string, unknown>>; cause?: unknown },
  ): MatrixError {
    return new MatrixError(status, errcode as ErrCode, message, options)
  }

  /** Something was asked for too often; it can be had again after so many milliseconds. */
  static limitExceeded(
    retryAfterMs: number,
    message: string,
    options: { cause?: unknown } = {},
  ): MatrixError {
    const extra = { retry_after_ms: retryAfterMs }
    return new MatrixError(429, 'M_LIMIT_EXCEEDED', message, { ...options, extra })
  }

  /** The body as the spec's standard error response. */
  toJSON(): Record<string, unknown> {
    return { ...this.extra, errcode: this.errcode, error: this.message }
  }
}
