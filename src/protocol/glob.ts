/**
 * Glob-style patterns: `*` matches zero or more characters, `?` matches exactly one.
 *
 * Never a regular expression: patterns come from others, and one with many stars must not take longer
 * than the product of the two lengths.
 *
 * https://spec.matrix.org/v1.19/appendices/#glob-style-matching
 *
 * @module
 */

/** Whether the whole of `text` matches `pattern`. Case counts; a character is a code point. */
export function matchesGlob(pattern: string, text: string): boolean {
  // For ASCII, indices of code units are indices of characters.
  const characters = isAscii(text) ? text : [...text]
  const wanted = isAscii(pattern) ? pattern : [...pattern]
  let at = 0
  let wantedAt = 0
  // Where the last star is, and where in the text what follows it is being tried.
  let star = -1
  let tried = 0
  while (at < characters.length) {
    const want = wanted[wantedAt]
    if (want === '*') {
      star = wantedAt++
      tried = at
    } else if (want !== undefined && (want === '?' || want === characters[at])) {
      wantedAt++
      at++
    } else if (star === -1) return false
    else {
      // Only the last star need be tried again: what an earlier one took is the shortest that fits.
      wantedAt = star + 1
      at = ++tried
    }
  }
  while (wanted[wantedAt] === '*') wantedAt++
  return wantedAt === wanted.length
}

function isAscii(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 0x7f) return false
  return true
}
