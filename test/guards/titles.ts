/**
 * The names of tests, as they stand in a source.
 *
 * @module
 */

/** The titles of the tests in a source; `${…}` stands in them for the cases of a table. */
export function titlesIn(source: string): string[] {
  return [...source.matchAll(/\b(?:test|forEachDatabase)\(\s*(['"`])(.*?)\1\s*,/g)].map(
    ([, , title = '']) => title,
  )
}
