/**
 * What is answered when a write finds the disk full, before it was seen that it would be.
 *
 * @module
 */

import { MatrixError } from '#protocol/matrix-error.ts'
import { UnitFailed } from '#storage/database.ts'

const retryAfterMs = 60_000

export function explainFullDisk(error: unknown): MatrixError | undefined {
  if (!isFullDisk(error)) return undefined
  const extra = { retry_after_ms: retryAfterMs }
  const sentence = 'The disk of this server is full.'
  return new MatrixError(503, 'M_RESOURCE_LIMIT_EXCEEDED', sentence, { extra, cause: error })
}

function isFullDisk(error: unknown): boolean {
  if (error instanceof UnitFailed) return error.kind === 'full'
  return error instanceof Error && 'code' in error && error.code === 'ENOSPC'
}
