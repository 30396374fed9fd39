/**
 * Keys as they are kept: the JSON a client signed, as one text.
 *
 * @module
 */

import { tryCanonicalJson } from '#protocol/canonical-json.ts'
import { isJsonObject, type Json, type JsonObject } from '#protocol/json.ts'
import { readJson } from '#protocol/json-reader.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { UploadedKey } from '#storage/device-keys.ts'

/** The text under which a key is kept. Throws if it is too large, or nobody could sign it. */
export function storedJson(key: Json, bytesMax: number): string {
  const text = tryCanonicalJson(key)
  if (text === undefined) throw new MatrixError(400, 'M_BAD_JSON', 'A key has no canonical JSON.')
  if (Buffer.byteLength(text) > bytesMax) {
    throw new MatrixError(413, 'M_TOO_LARGE', `A key may have at most ${bytesMax} bytes.`)
  }
  return text
}

/** What was kept, with numbers in the text they came in. */
export function parseStored(text: string): JsonObject {
  const value = parseStoredValue(text)
  return isJsonObject(value) ? value : {}
}

export function parseStoredValue(text: string): Json {
  const read = readJson(Buffer.from(text), 'raw')
  return read.ok ? read.value : null
}

/**
 * Keys under their names. The names of the properties should be in the format
 * `<algorithm>:<key_id>`.
 */
export function readKeys(
  keys: Readonly<Record<string, string | JsonObject>>,
  bytesMax: number,
): UploadedKey[] {
  return Object.entries(keys).map(([name, key]) => {
    const colon = name.indexOf(':')
    const algorithm = name.slice(0, colon)
    const key_id = name.slice(colon + 1)
    if (colon < 1 || key_id === '' || name.length > 255 || name.includes('\0')) {
      const expected = `'${name.slice(0, 100)}' is no name of a key as '<algorithm>:<key_id>'.`
      throw new MatrixError(400, 'M_INVALID_PARAM', expected)
    }
    return { algorithm, key_id, key_json: storedJson(key, bytesMax) }
  })
}
