/**
 * Unpadded Base64, in the standard alphabet and in the URL-safe one.
 *
 * Node's own decoder skips what it does not know and takes both alphabets at once, so that one
 * signature would have many spellings. This one takes exactly one alphabet.
 *
 * https://spec.matrix.org/v1.19/appendices/#unpadded-base64
 *
 * @module
 */

export type Base64Alphabet = 'base64' | 'base64url'

export function encodeBase64(bytes: Uint8Array, alphabet: Base64Alphabet = 'base64'): string {
  const text = bufferOf(bytes).toString(alphabet)
  // Node pads the standard alphabet only.
  return alphabet === 'base64' ? withoutPadding(text) : text
}

/**
 * The bytes that `text` encodes, or `undefined` if it is not Base64 of this alphabet.
 *
 * When decoding Base64, implementations SHOULD accept input with or without padding characters
 * wherever possible. The bits of the last character that belong to no byte may be anything: the
 * spec's own test seed ends with such a character.
 */
export function decodeBase64(
  text: string,
  alphabet: Base64Alphabet = 'base64',
): Uint8Array | undefined {
  const length = unpaddedLength(text)
  // One character more than a whole number of groups holds six bits, which is no byte.
  if (length === undefined || length % 4 === 1) return undefined
  const extra = alphabet === 'base64' ? plusAndSlash : minusAndUnderscore
  for (let at = 0; at < length; at++) {
    const code = text.charCodeAt(at)
    if (code > 0x7f || ((alphanumeric[code] ?? 0) | (extra[code] ?? 0)) === 0) return undefined
  }
  return Buffer.from(length === text.length ? text : text.slice(0, length), alphabet)
}

/** `text` without the padding at its end. */
export function withoutPadding(text: string): string {
  if (text.endsWith('==')) return text.slice(0, -2)
  return text.endsWith('=') ? text.slice(0, -1) : text
}

/** The length without padding; `undefined` if there is padding, but not as much as there must be. */
function unpaddedLength(text: string): number | undefined {
  const length = withoutPadding(text).length
  return length === text.length || text.length % 4 === 0 ? length : undefined
}

const alphanumeric = tableOf('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789')
const plusAndSlash = tableOf('+/')
const minusAndUnderscore = tableOf('-_')

function tableOf(characters: string): Uint8Array {
  const table = new Uint8Array(128)
  for (const character of characters) table[character.charCodeAt(0)] = 1
  return table
}

/** The same bytes as a `Buffer`, without a copy. */
function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
