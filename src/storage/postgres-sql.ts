/**
 * What differs between our SQL and PostgreSQL's: placeholders, sets of values, and how values look
 * when they come back. `migrate.ts` says how text with U+0000 is kept.
 *
 * @module
 */

import type { CustomTypesConfig } from 'pg'
import type { List, Parameter, Sql, Value } from './database.ts'

export interface PostgresQuery {
  /** The server keeps a prepared statement under this name, one for each template. */
  readonly name: string
  readonly text: string
  readonly values: unknown[]
}

const prepared = new WeakMap<readonly string[], { name: string; text: string }>()
let preparedCount = 0

export function queryOf({ texts, values }: Pick<Sql, 'texts' | 'values'>): PostgresQuery {
  let known = prepared.get(texts)
  if (known === undefined) {
    preparedCount += 1
    known = { name: `h${preparedCount}`, text: textOf(texts, values) }
    prepared.set(texts, known)
  }
  return { ...known, values: values.map(encoded) }
}

const arrayTypes: Readonly<Record<List['list'], string>> = {
  text: 'text[]',
  integer: 'bigint[]',
  bytes: 'bytea[]',
}

function textOf(texts: readonly string[], values: readonly Parameter[]): string {
  let text = texts[0] ?? ''
  for (const [index, value] of values.entries()) {
    const next = texts[index + 1] ?? ''
    if (!isList(value)) {
      text += `$${index + 1}${next}`
      continue
    }
    if (/\bJOIN\s*$/.test(text)) {
      text += `(SELECT unnest($${index + 1}::${arrayTypes[value.list]}) AS value)${next}`
      continue
    }
    // `IN (SELECT unnest(…))` would do, but only this uses an index whatever the statistics say.
    const compared = text.replace(/\bNOT\s+IN\s*$/, '<> ALL ').replace(/\bIN\s*$/, '= ANY ')
    text = `${compared}($${index + 1}::${arrayTypes[value.list]})${next}`
  }
  return text
}

function isList(value: Parameter): value is List {
  return value !== null && typeof value === 'object' && 'list' in value
}

const escapeSign = '\u{10FFFF}'

function encoded(value: Parameter): unknown {
  if (typeof value === 'string') return encodedText(value)
  return isList(value) ? value.values.map((member) => encoded(member)) : value
}

function encodedText(text: string): string {
  if (!text.includes('\0') && !text.includes(escapeSign)) return text
  return text.replaceAll(escapeSign, `${escapeSign}1`).replaceAll('\0', `${escapeSign}0`)
}

function decodedText(text: string): string {
  if (!text.includes(escapeSign)) return text
  return text.replaceAll(`${escapeSign}0`, '\0').replaceAll(`${escapeSign}1`, escapeSign)
}

function number(text: string): number {
  return Number(text)
}

/** By the type's OID, as in PostgreSQL's `pg_type.dat`. Whatever else comes back is text. */
const parsers: Readonly<Record<number, (text: string) => Value>> = {
  16: (text) => (text === 't' ? 1 : 0),
  17: (text) => Uint8Array.fromHex(text.slice(2)),
  20: number,
  21: number,
  23: number,
  700: number,
  701: number,
  1700: number,
}

/** Values as SQLite gives them: booleans are 0 and 1, all numbers `number`. */
export const postgresTypes = {
  getTypeParser: (oid: number) => parsers[oid] ?? decodedText,
} as CustomTypesConfig
