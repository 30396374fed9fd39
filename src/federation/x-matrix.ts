/**
 * The `X-Matrix` scheme of the `Authorization` header: reading and writing it.
 *
 * Servers read this header in many ways; a value that two of them read differently lets one server
 * be taken for another. This is the grammar of RFC 9110, with the one leniency the spec asks for,
 * and nothing is guessed: a parameter that comes twice, or a quote without end, is refused.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#request-authentication
 *
 * @module
 */

/** What an `X-Matrix` header says. Nothing of it is checked but its grammar. */
export interface XMatrix {
  readonly origin: string
  /** For compatibility with older servers, recipients should accept requests without it. */
  readonly destination: string | undefined
  readonly key: string
  readonly sig: string
}

/** The longest header that is read, in characters; Node's own limit for all headers is 16 KiB. */
const headerLengthMax = 4096

/** Reads the value of an `Authorization` header; `undefined` if it is not a proper `X-Matrix`. */
export function parseXMatrix(header: string): XMatrix | undefined {
  if (header.length > headerLengthMax) return undefined
  // The header begins with authorisation scheme `X-Matrix`, followed by one or more spaces.
  const scheme = /^X-Matrix +/i.exec(header)
  if (scheme === null) return undefined
  const parameters = readParameters(header, scheme[0].length)
  const origin = parameters?.get('origin')
  const key = parameters?.get('key')
  const sig = parameters?.get('sig')
  if (origin === undefined || key === undefined || sig === undefined) return undefined
  // Unknown parameters are ignored.
  return { origin, destination: parameters?.get('destination'), key, sig }
}

/**
 * Writes the header as older servers read it: one space after the scheme, names in lower case, no
 * backslashes, no white space around the commas. None of the values may hold a quote.
 */
export function formatXMatrix(values: Required<XMatrix>): string {
  const { origin, destination, key, sig } = values
  return `X-Matrix origin="${origin}",destination="${destination}",key="${key}",sig="${sig}"`
}

// A token of RFC 9110, section 5.6.2. For compatibility with older servers, the recipient should
// allow colons to be included in values without requiring the value to be enclosed in quotes.
const token = /[!#$%&'*+\-.^_`|~0-9A-Za-z]+/y
const tokenOrColons = /[!#$%&'*+\-.^_`|~0-9A-Za-z:]+/y
const space = /[ \t]*/y
const equals = /[ \t]*=[ \t]*/y
// qdtext of RFC 9110, section 5.6.4, and a backslash with any character that it may precede.
const quoted = /"((?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*)"/y

/** The parameters by name in lower case; `undefined` if the grammar is broken or a name comes twice. */
function readParameters(header: string, start: number): Map<string, string> | undefined {
  const parameters = new Map<string, string>()
  let at = start
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at
    const match = pattern.exec(header)
    if (match !== null) at += match[0].length
    return match
  }
  for (;;) {
    // A list may have empty elements, which a recipient has to ignore (RFC 9110, section 5.6.1.2).
    take(space)
    const name = take(token)?.[0].toLowerCase()
    if (name !== undefined) {
      if (parameters.has(name) || take(equals) === null) return undefined
      const text = take(quoted)
      // A backslash-character pair is replaced by the character that follows the backslash.
      const value = text === null ? take(tokenOrColons)?.[0] : text[1]?.replace(/\\(.)/g, '$1')
      if (value === undefined) return undefined
      parameters.set(name, value)
      take(space)
    }
    if (at === header.length) return parameters
    if (header[at] !== ',') return undefined
    at += 1
  }
}
