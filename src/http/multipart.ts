/**
 * `multipart/mixed` as servers send media to each other: exactly two parts, of which the first is JSON
 * that says nothing so far, and the second the medium, or where it is.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#content-repository
 *
 * @module
 */

/** A part that another server sent. */
export interface Part {
  /** The names are in lower case. */
  readonly headers: ReadonlyMap<string, string>
  readonly body: Uint8Array
}

const headBytesMax = 8_192
const headersMax = 32

/** An answer of two parts: its type, what comes before the medium, and what comes after it. */
export function framedMedium(
  boundary: string,
  { contentType, contentDisposition }: { contentType: string; contentDisposition: string },
): { readonly contentType: string; readonly before: Uint8Array; readonly after: Uint8Array } {
  const lines = [
    `--${boundary}`,
    'Content-Type: application/json',
    '',
    '{}',
    `--${boundary}`,
    `Content-Type: ${contentType}`,
    `Content-Disposition: ${contentDisposition}`,
    '',
    '',
  ]
  return {
    contentType: `multipart/mixed; boundary=${boundary}`,
    before: Buffer.from(lines.join('\r\n'), 'latin1'),
    after: Buffer.from(`\r\n--${boundary}--\r\n`, 'latin1'),
  }
}

/** The second of the two parts, or what is wrong with them. */
export function mediumIn(
  contentType: string,
  body: Uint8Array,
): Part | { readonly problem: string } {
  const boundary = boundaryIn(contentType)
  if (boundary === undefined) return { problem: 'the answer is not multipart/mixed' }
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  const delimiter = Buffer.from(`\r\n--${boundary}`, 'latin1')
  const first = bytes.indexOf(delimiter.subarray(2))
  const second = first === -1 ? -1 : bytes.indexOf(delimiter, first)
  if (second === -1) return { problem: 'the answer has fewer than two parts' }
  const start = lineEnd(bytes, second + delimiter.length)
  // The medium may hold the delimiter by chance nowhere, so the last one ends it.
  const end = bytes.lastIndexOf(delimiter)
  if (start === undefined || end <= second) return { problem: 'the second part has no end' }
  return partOf(bytes.subarray(start, end))
}

function boundaryIn(contentType: string): string | undefined {
  const [type = '', ...parameters] = contentType.split(';')
  if (type.trim().toLowerCase() !== 'multipart/mixed') return undefined
  for (const parameter of parameters) {
    const [, quoted, plain] =
      /^\s*boundary\s*=\s*(?:"([^"]*)"|([^"\s]+))\s*$/i.exec(parameter) ?? []
    const boundary = quoted ?? plain ?? ''
    if (boundary.length >= 1 && boundary.length <= 70) return boundary
  }
  return undefined
}

/** Where the line after a delimiter begins. */
function lineEnd(bytes: Buffer, at: number): number | undefined {
  const end = bytes.indexOf('\r\n', at)
  const padding = end === -1 ? 'x' : bytes.toString('latin1', at, end)
  return padding.trim() === '' ? end + 2 : undefined
}

function partOf(bytes: Buffer): Part | { readonly problem: string } {
  // A part may have no headers: it then begins with the empty line.
  const isBare = bytes.subarray(0, 2).toString('latin1') === '\r\n'
  const headEnd = isBare ? 0 : bytes.subarray(0, headBytesMax).indexOf('\r\n\r\n')
  if (headEnd === -1) return { problem: 'the second part has no end of its headers' }
  const lines = bytes.toString('latin1', 0, headEnd).split('\r\n')
  if (lines.length > headersMax) return { problem: 'the second part has too many headers' }
  const headers = new Map<string, string>()
  for (const line of lines) {
    const colon = line.indexOf(':')
    if (colon === -1) continue
    // Names of files may be in UTF-8.
    const value = Buffer.from(line.slice(colon + 1).trim(), 'latin1').toString('utf8')
    headers.set(line.slice(0, colon).trim().toLowerCase(), value)
  }
  return { headers, body: bytes.subarray(headEnd + (isBare ? 2 : 4)) }
}
