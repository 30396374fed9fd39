/**
 * Choosing fields of an event by dot-separated paths, as a filter's `event_fields` does.
 *
 * https://spec.matrix.org/v1.19/appendices/#dot-separated-property-paths
 *
 * @module
 */

import { isJsonObject, type Json, type JsonObject } from '#protocol/json.ts'
import type { PropertyPath } from '#protocol/property-path.ts'

/** A copy of the event with these fields alone. */
export function pickFields(event: JsonObject, paths: readonly PropertyPath[]): JsonObject {
  const picked: Building = new Map()
  for (const path of paths) pickInto(picked, event, path)
  return toObject(picked)
}

/** Objects that are being built are Maps, since a name may be `__proto__`. */
interface Building extends Map<string, Json | Building> {}

function pickInto(picked: Building, from: JsonObject, [name, ...rest]: PropertyPath): void {
  if (name === undefined || !Object.hasOwn(from, name)) return
  const value = from[name] as Json
  if (rest.length === 0) {
    picked.set(name, value)
    return
  }
  if (!isJsonObject(value)) return
  const inner = picked.get(name) ?? new Map()
  // If it is no Map, all of it has been picked.
  if (!(inner instanceof Map)) return
  pickInto(inner, value, rest)
  if (inner.size > 0) picked.set(name, inner)
}

function toObject(building: Building): JsonObject {
  return Object.fromEntries(
    [...building].map(([name, value]) => [name, value instanceof Map ? toObject(value) : value]),
  )
}
