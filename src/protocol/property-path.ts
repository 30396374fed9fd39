/**
 * Dot-separated property paths, by which filters and push rules name what is in an event.
 *
 * https://spec.matrix.org/v1.19/appendices/#dot-separated-property-paths
 *
 * @module
 */

import { isJsonObject, type Json, type JsonObject } from './json.ts'

/** The names on the way to a property, from the outside in. */
export type PropertyPath = readonly string[]

/**
 * Any literal dot or backslash found in a property name should be escaped with a backslash. Other
 * escape sequences are left as-is, e.g. a `\x` would be treated as a literal backslash followed by
 * 'x'.
 */
export function parsePropertyPath(text: string): PropertyPath {
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

/** What stands at a path; `undefined` if nothing does. */
export function propertyAt(object: JsonObject, path: PropertyPath): Json | undefined {
  let value: Json = object
  for (const name of path) {
    if (!isJsonObject(value) || !Object.hasOwn(value, name)) return undefined
    value = value[name] as Json
  }
  return value
}
