/**
 * The body of a request that travels over no socket.
 *
 * @module
 */

import { MatrixError } from '../../protocol/matrix-error.ts'
import type { IncomingRequest } from '../http.ts'

/** Both ways to read a body of these bytes, limited as those of a real one are. */
export function simulatedBody(
  body: Uint8Array | string | undefined,
): Pick<IncomingRequest, 'body' | 'chunks'> {
  const bytes = new Uint8Array(typeof body === 'string' ? Buffer.from(body) : (body ?? []))
  const limited = (bytesMax: number) => {
    if (bytes.length <= bytesMax) return bytes
    throw new MatrixError(413, 'M_TOO_LARGE', `The body has more than ${bytesMax} bytes.`)
  }
  return {
    body: async (bytesMax) => limited(bytesMax),
    async *chunks(bytesMax) {
      yield limited(bytesMax)
    },
  }
}
