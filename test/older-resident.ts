/**
 * A resident that is older than joins without all members.
 *
 * @module
 */

import { MatrixError } from '../src/protocol/matrix-error.ts'

/** An `intercept`: only the older way to join is there, which leaves no members out. */
export const ofOld = async (_: string, path: string): Promise<MatrixError | undefined> =>
  path.includes('/v2/send_join/')
    ? new MatrixError(404, 'M_UNRECOGNIZED', 'This server is older than that.')
    : undefined
