/**
 * Keys of devices as they are uploaded.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#uploading-keys
 *
 * @module
 */

import * as t from '#schema/schema.ts'

export const keyName = t.string({ min: 1, max: 255 })

export const deviceKeys = t.object({
  user_id: t.userId,
  device_id: keyName,
  algorithms: t.array(keyName, { max: 100 }),
  keys: t.record(t.string({ max: 1_000 })),
  signatures: t.record(t.record(t.string({ max: 1_000 }))),
})

const keyObject = t.object({
  key: t.string({ max: 1_000 }),
  signatures: t.record(t.record(t.string({ max: 1_000 }))),
})

/** One-time or fallback keys, by `<algorithm>:<key_id>`. */
export const namedKeys = t.record(t.union(t.string({ max: 1_000 }), keyObject))
