/**
 * Dates in HTTP headers.
 *
 * @module
 */

const fixdate = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/

/** A date in the one format that may be written (RFC 9110, section 5.6.7), in milliseconds. */
export function httpDateMs(text: string): number | undefined {
  const ms = fixdate.test(text) ? Date.parse(text) : Number.NaN
  return Number.isNaN(ms) ? undefined : ms
}
