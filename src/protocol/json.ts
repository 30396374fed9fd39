/**
 * The JSON values the protocol works on.
 *
 * Numbers are JavaScript numbers wherever that loses nothing. In room versions 1 to 5 an event may
 * hold numbers which JavaScript cannot keep (`1.0`, `1e2`, 2^64): those are `RawNumber`s, made with
 * `JSON.rawJSON`, which keep their text and which `JSON.stringify` writes as it was read.
 *
 * @module
 */

/** A number kept as the text it was written with. */
export interface RawNumber {
  readonly rawJSON: string
}

declare global {
  interface JSON {
    rawJSON(text: string): RawNumber
    isRawJSON(value: unknown): value is RawNumber
  }
}

export type Json = null | boolean | number | string | RawNumber | readonly Json[] | JsonObject

export interface JsonObject {
  readonly [key: string]: Json
}

/** Whether `value` is a JSON object: not null, not an array, not a raw number. */
export function isJsonObject(value: unknown): value is JsonObject {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !JSON.isRawJSON(value)
  )
}
