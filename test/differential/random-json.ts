/**
 * Random JSON, as values and as texts that not everybody writes or reads in the same way.
 *
 * @module
 */

import fc from 'fast-check'

/** Texts, also such as are odd as keys. */
export const unicode = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 12 }),
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.constantFrom(
    '__proto__',
    'constructor',
    '10',
    '9',
    '\u0000',
    '\u007f',
    '\u2028',
    '｡',
    '😀',
    '\\',
    '"',
  ),
)

export const integer = fc.oneof(fc.nat(100), fc.maxSafeInteger())

/** A JSON value as pieces of text, with odd spellings and, rarely, what is not allowed. */
export const jsonText = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    { weight: 2, arbitrary: fc.constantFrom('null', 'true', 'false') },
    { weight: 6, arbitrary: integer.map(String) },
    { weight: 1, arbitrary: oddNumber() },
    { weight: 6, arbitrary: stringText() },
    {
      weight: 4,
      arbitrary: fc.array(tie('value'), { maxLength: 4 }).map((list) => `[${list.join(',')}]`),
    },
    {
      weight: 8,
      arbitrary: fc
        .array(fc.tuple(stringText(), space(), tie('value')), { maxLength: 5 })
        .map(
          (list) => `{${list.map(([key, gap, value]) => `${key}${gap}:${gap}${value}`).join(`,`)}}`,
        ),
    },
  ),
})).value

function space() {
  return fc.constantFrom('', '', '', ' ', '\n\t')
}

function oddNumber() {
  const spelled = fc.constantFrom(
    '-0',
    '1.0',
    '0.5',
    '-1.5',
    '1e2',
    '1E+2',
    '100.0',
    '1e-07',
    '1e+16',
    '0.0',
    '-0.0',
    '1E400',
  )
  const large = fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }).map(String)
  const double = fc
    .double({ noNaN: true, noDefaultInfinity: true })
    .map((value) => JSON.stringify(value))
  return fc.oneof(spelled, large, double)
}

/** A string in quotes: as JavaScript writes it, all in escapes, or with half a pair. */
function stringText() {
  const escaped = unicode.map((text) => {
    const units = Array.from({ length: text.length }, (_, at) => text.charCodeAt(at))
    return `"${units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('')}"`
  })
  const plain = unicode.map((text) => JSON.stringify(text))
  const broken = fc.constantFrom('"\\ud800x"', '"\\udc00"', '"\\/"')
  return fc.oneof(
    { weight: 8, arbitrary: plain },
    { weight: 2, arbitrary: escaped },
    { weight: 1, arbitrary: broken },
  )
}

/** A flat object, to be signed. */
export const object = fc
  .dictionary(
    unicode,
    fc.oneof(
      integer,
      unicode,
      fc.array(fc.oneof(unicode, fc.dictionary(unicode, integer)), { maxLength: 3 }),
    ),
    { maxKeys: 6 },
  )
  .filter((value) => !Object.hasOwn(value, 'signatures'))
