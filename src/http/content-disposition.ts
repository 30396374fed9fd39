/**
 * The `Content-Disposition` header: the name of a file, and whether a browser may show it in a page.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#serving-inline-content
 *
 * @module
 */

/** The longest name of a file, in UTF-16 code units. */
const fileNameLengthMax = 255

/**
 * These types are unlikely to cause Cross-Site Scripting issues when a `Content-Type` header is
 * provided.
 */
const inlineTypes: ReadonlySet<string> = new Set([
  'text/css',
  'text/plain',
  'text/csv',
  'application/json',
  'application/ld+json',
  'image/jpeg',
  'image/gif',
  'image/png',
  'image/apng',
  'image/webp',
  'image/avif',
  'video/mp4',
  'video/webm',
  'video/ogg',
  'video/quicktime',
  'audio/mp4',
  'audio/webm',
  'audio/aac',
  'audio/mpeg',
  'audio/ogg',
  'audio/wave',
  'audio/wav',
  'audio/x-wav',
  'audio/x-pn-wav',
  'audio/flac',
  'audio/x-flac',
])

/** The header for content of this type and name. */
export function contentDispositionOf(contentType: string, fileName: string | undefined): string {
  const essence = contentType.split(';', 1)[0]?.trim().toLowerCase() ?? ''
  const disposition = inlineTypes.has(essence) ? 'inline' : 'attachment'
  if (fileName === undefined) return disposition
  if (/^[\x20-\x7e]*$/.test(fileName)) {
    return `${disposition}; filename="${fileName.replace(/["\\]/g, '\\$&')}"`
  }
  return `${disposition}; filename*=utf-8''${percentEncoded(fileName)}`
}

/** The file name in a header that another server sent; `undefined` if it has none that we can read. */
export function fileNameIn(header: string): string | undefined {
  const extended = /;\s*filename\*\s*=\s*utf-8'[^']*'([^;\s]*)/i.exec(header)?.[1]
  const decoded = extended === undefined ? undefined : percentDecoded(extended)
  const quoted = /;\s*filename\s*=\s*"((?:[^"\\]|\\.)*)"/i.exec(header)?.[1]
  const plain = /;\s*filename\s*=\s*([^";\s]+)/i.exec(header)?.[1]
  return usable(decoded) ?? usable(quoted?.replace(/\\(.)/g, '$1')) ?? usable(plain)
}

function usable(name: string | undefined): string | undefined {
  if (name === undefined || name === '') return undefined
  // Control characters have no place in a name, and none in a header.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
  return name.replace(/[\x00-\x1f\x7f]/g, '').slice(0, fileNameLengthMax)
}

/** As RFC 5987 asks. */
function percentEncoded(text: string): string {
  return encodeURIComponent(text.toWellFormed()).replace(
    /['()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

function percentDecoded(text: string): string | undefined {
  const bytes = Buffer.from(
    text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    ),
    'latin1',
  )
  return bytes.toString('utf8')
}
