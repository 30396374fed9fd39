/**
 * From where and when devices were used last. It may be a few minutes out of date, for efficiency.
 *
 * @module
 */

import { LRUCache } from 'lru-cache'
import type { Clock } from '#io/clock.ts'
import type { Log } from '#io/log.ts'
import type { Database } from '#storage/database.ts'
import type { DeviceRef } from '#storage/device-keys.ts'
import { seeDevice } from '#storage/devices.ts'

const freshMs = 300_000
const rememberedMax = 50_000

/** Gives a function that notes that a device was used, unless that was noted lately. Nobody waits for it. */
export function createDeviceSightings(needs: {
  readonly db: Database
  readonly clock: Pick<Clock, 'now' | 'monotonicMs'>
  readonly log?: Pick<Log, 'warn'>
}): (device: DeviceRef, ip: string) => void {
  const { db, clock, log } = needs
  const notedMs = new LRUCache<string, number>({
    maxSize: rememberedMax,
    sizeCalculation: () => 1,
  })
  return ({ userId, deviceId }, ip) => {
    const key = `${userId} ${deviceId}`
    const lastMs = notedMs.get(key)
    const nowMs = clock.monotonicMs()
    if (lastMs !== undefined && nowMs - lastMs < freshMs) return
    notedMs.set(key, nowMs)
    db.write((tx) => seeDevice(tx, { userId, deviceId, ip, now: clock.now() })).catch(
      (error: unknown) => log?.warn('it is not noted that a device was seen', { error }),
    )
  }
}
