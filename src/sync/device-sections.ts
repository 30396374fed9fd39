/**
 * What `/sync` says to the device that asks, rather than to its user.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#extensions-to-sync
 * https://spec.matrix.org/v1.19/client-server-api/#e2e-extensions-to-sync
 *
 * @module
 */

import type { JsonObject } from '#protocol/json.ts'
import type { DeviceRef } from '#storage/device-keys.ts'
import type { LocalKeys } from '#users/end-to-end/device-keys.ts'

/** What is left of the device's own keys: said in each answer, also if nothing else is. */
export async function keysLeft(
  localKeys: Pick<LocalKeys, 'left'>,
  device: DeviceRef,
): Promise<JsonObject> {
  const { counts, unusedFallbackAlgorithms } = await localKeys.left(device)
  return {
    // Clients upload keys once they are told that there are none: a count that is left out would do,
    // but some wait for this one.
    device_one_time_keys_count: { signed_curve25519: 0, ...counts },
    device_unused_fallback_key_types: unusedFallbackAlgorithms,
  }
}
