/**
 * What a client is told when another server fails us: its refusal where the client can make
 * something of it, else that the other server is at fault.
 *
 * @module
 */

import { type ErrCode, MatrixError } from '#protocol/matrix-error.ts'
import { FederationError } from '#rooms/remote-servers.ts'

/** What another server may say to our clients in its own words. */
const passedOn: readonly ErrCode[] = [
  'M_BAD_ALIAS',
  'M_FORBIDDEN',
  'M_GUEST_ACCESS_FORBIDDEN',
  'M_INCOMPATIBLE_ROOM_VERSION',
  'M_INVALID_PARAM',
  'M_LIMIT_EXCEEDED',
  'M_NOT_FOUND',
  'M_TOO_LARGE',
  'M_UNABLE_TO_AUTHORISE_JOIN',
  'M_UNABLE_TO_GRANT_JOIN',
  'M_UNSUPPORTED_ROOM_VERSION',
]

export function explainFailure(error: unknown): MatrixError | undefined {
  if (!(error instanceof FederationError)) return undefined
  const { destination, kind, status = 0, body, userWaitMs: retry_after_ms } = error
  const errcode = passedOn.find((one) => one === error.errcode)
  // A 401 would tell the client that its own token is wrong.
  if (
    kind === 'refused' &&
    errcode !== undefined &&
    status >= 400 &&
    status < 500 &&
    status !== 401
  ) {
    const roomVersion = body?.room_version
    const extra = {
      ...(typeof roomVersion === 'string' && { room_version: roomVersion }),
      ...(retry_after_ms !== undefined && { retry_after_ms }),
    }
    return new MatrixError(status, errcode, error.message, { cause: error, extra })
  }
  const sentences = {
    unreachable: 'cannot be reached',
    'backing-off': 'did not answer lately and is not asked at the moment',
    refused: 'refuses',
    'bad-answer': 'gives an answer that makes no sense',
  }
  const message = `The server ${destination} ${sentences[kind]}.`
  return new MatrixError(502, 'M_UNKNOWN', message, { cause: error })
}
