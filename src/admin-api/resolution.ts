/**
 * Resolutions of states as administrators are shown them.
 *
 * @module
 */

import type { getRoomGraph } from '#endpoints/admin/rooms.ts'
import type { ResponseOf } from '#http/endpoint.ts'
import type { EventId } from '#protocol/identifiers/ids.ts'
import type { Resolution } from '#rooms/explain-resolution.ts'

type Shown = Omit<ResponseOf<typeof getRoomGraph>['meetings'][number], 'before'>

/** `parents`: an event after which each of the states was. */
export function shownResolution(
  { algorithm, conflicts, decisions }: Resolution,
  parents: readonly EventId[],
): Shown {
  return {
    parents: [...parents],
    algorithm,
    conflicts: conflicts.map(({ type, stateKey, candidates, winner }) => ({
      type,
      state_key: stateKey,
      candidates: candidates.map((candidate) => candidate ?? ''),
      ...(winner !== undefined && { winner }),
    })),
    decisions: decisions.map(({ eventId, basis, verdict }) => ({
      event_id: eventId,
      list: basis.list,
      ...(basis.list === 'power' && { sender_level: levelShown(basis.senderLevel) }),
      ...(basis.list === 'mainline' &&
        Number.isFinite(basis.mainlinePosition) && { mainline_position: basis.mainlinePosition }),
      allowed: verdict.allowed,
      ...(!verdict.allowed && { rule: verdict.rule }),
    })),
  }
}

/** Creators stand above all levels since room version 12; JSON has no word for it. */
export function levelShown(level: number | bigint): number | string {
  if (level === Number.POSITIVE_INFINITY) return 'creator'
  return Number.isSafeInteger(level) ? Number(level) : String(level)
}
