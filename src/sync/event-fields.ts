/**
 * Choosing fields of an event by dot-separated paths, as a filter's `event_fields` does.
 *
 * https://spec.matrix.org/v1.19/appendices/#dot-separated-property-paths
 *
 * @module
 */

import { isJsonObject, type Json, type JsonObject } from '#protocol/json.ts'

/** The names on the way to a field, from the outside in. */
export type FieldPath = readonly string[]

/**
 * Any literal dot or backslash found in a property name should be escaped with a backslash. Other
 * escape sequences are left as-is, e.g. a `\x` would be treated as a literal backslash followed by
 * 'x'.
 */
export function parseFieldPath(text: string): FieldPath {
  const names: string[] = []
  let name = ''
  for (let at = 0; at < text.length; at++) {
    const character = text.charAt(at)
    const next = text.charAt(at + 1)
    if (character === '\\' && (next === '.' || next === '\\')) {
      name += next
      at++
    } else if (character === '.') {
      names.push(name)
      name = ''
    } else {
      name += character
    }
  }
  return [...names, name]
}

/** A copy of the event with these fields alone. */
export function pickFields(event: JsonObject, paths: readonly FieldPath[]): JsonObject {
  const picked: Building = new Map()
  for (const path of paths) pickInto(picked, event, path)
  return toObject(picked)
}

/** Objects that are being built are Maps, since a name may be `__proto__`. */
interface Building extends Map<string, Json | Building> {}

function pickInto(picked: Building, from: JsonObject, [name, ...rest]: FieldPath): void {
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
