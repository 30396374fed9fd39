/**
 * The kinds of settings: how a value is checked and described.
 *
 * Problems are sentences that name the key, what was found and what was expected.
 *
 * @module
 */

/** Where problems are collected: all of them are told at once. */
export type Problems = string[]

export interface Kind<T> {
  /** What is expected, as it stands in a sentence: `a whole number from 1 to 65535`. */
  readonly expected: string
  /** The checked value; `undefined` if there was a problem, which has been added. */
  read(key: string, found: unknown, problems: Problems): T | undefined
  /** The keys below it, if it is a table. */
  readonly fields?: Readonly<Record<string, Setting<unknown>>>
  /** The keys of each entry, if it is a list of tables. */
  readonly entryFields?: Readonly<Record<string, Setting<unknown>>>
}

export interface Setting<T> {
  readonly kind: Kind<T>
  readonly description: string
  /** `undefined` means that it must be given, or that it is a table with defaults of its own. */
  readonly byDefault: T | undefined
}

export type TableOf<F extends Readonly<Record<string, Setting<unknown>>>> = {
  readonly [K in keyof F]: F[K] extends Setting<infer T> ? T : never
}

export function setting<T>(kind: Kind<T>, byDefault: T, description: string): Setting<T> {
  return { kind, byDefault, description }
}

/** A setting that must be given. */
export function required<T>(kind: Kind<T>, description: string): Setting<T> {
  return { kind, byDefault: undefined, description }
}

/** A table whose settings have their own defaults. */
export function section<T>(kind: Kind<T>, description: string): Setting<T> {
  return { kind, byDefault: undefined, description }
}

function simple<T>(expected: string, accepts: (found: unknown) => found is T): Kind<T> {
  return {
    expected,
    read: (key, found, problems) => {
      if (accepts(found)) return found
      problems.push(`${key}: found ${shown(found)}, expected ${expected}`)
      return undefined
    },
  }
}

export const text: Kind<string> = simple(
  'a text',
  (found): found is string => typeof found === 'string' && found !== '',
)

export const flag: Kind<boolean> = simple(
  'true or false',
  (found): found is boolean => typeof found === 'boolean',
)

export function integer(least: number, most: number): Kind<number> {
  return simple(
    `a whole number from ${least} to ${most}`,
    (found): found is number =>
      typeof found === 'number' && Number.isInteger(found) && found >= least && found <= most,
  )
}

export function oneOf<const T extends string>(...choices: readonly T[]): Kind<T> {
  return simple(`one of ${choices.join(', ')}`, (found): found is T =>
    choices.some((choice) => choice === found),
  )
}

/** A text that `accepts` agrees to. */
export function textThat<T extends string>(
  expected: string,
  accepts: (found: string) => boolean,
): Kind<T> {
  return simple(
    expected,
    (found): found is T => typeof found === 'string' && found !== '' && accepts(found),
  )
}

export function orNull<T>(kind: Kind<T>): Kind<T | null> {
  return {
    expected: `${kind.expected}, or null`,
    read: (key, found, problems) => (found === null ? null : kind.read(key, found, problems)),
  }
}

export function list<T>(kind: Kind<T>, most = 1000): Kind<readonly T[]> {
  const expected = `a list, each entry ${kind.expected}`
  return {
    expected,
    ...(kind.fields && { entryFields: kind.fields }),
    read: (key, found, problems) => {
      if (!Array.isArray(found) || found.length > most) {
        problems.push(`${key}: found ${shown(found)}, expected ${expected}`)
        return undefined
      }
      const values = found.map((entry, index) => kind.read(`${key}[${index}]`, entry, problems))
      return values.filter((value) => value !== undefined)
    },
  }
}

/** A table of settings, each with its default. */
export function table<const F extends Readonly<Record<string, Setting<unknown>>>>(
  fields: F,
): Kind<TableOf<F>> & { readonly fields: F } {
  return {
    expected: `a table with the keys ${Object.keys(fields).join(', ')}`,
    fields,
    read: (key, found, problems) =>
      readTable(fields, key, found, problems) as TableOf<F> | undefined,
  }
}

function readTable(
  fields: Readonly<Record<string, Setting<unknown>>>,
  key: string,
  found: unknown,
  problems: Problems,
): Record<string, unknown> | undefined {
  if (typeof found !== 'object' || found === null || Array.isArray(found)) {
    const keys = Object.keys(fields).join(', ')
    const place = key || 'the file'
    problems.push(`${place}: found ${shown(found)}, expected a table with the keys ${keys}`)
    return undefined
  }
  const given = new Map(Object.entries(found))
  const path = (name: string) => (key === '' ? name : `${key}.${name}`)
  for (const name of given.keys()) {
    if (Object.hasOwn(fields, name)) continue
    const nearest = nearestOf(name, Object.keys(fields))
    problems.push(`${path(name)}: there is no such key; the nearest is ${path(nearest)}`)
  }
  const values: Record<string, unknown> = {}
  for (const [name, field] of Object.entries(fields)) {
    values[name] = readField(field, path(name), given.get(name), problems)
  }
  return values
}

function readField(
  field: Setting<unknown>,
  key: string,
  found: unknown,
  problems: Problems,
): unknown {
  if (found !== undefined) return field.kind.read(key, found, problems)
  if (field.byDefault !== undefined) return field.byDefault
  if (field.kind.fields) return field.kind.read(key, {}, problems)
  problems.push(`${key}: found nothing, expected ${field.kind.expected}`)
  return undefined
}

/** A value as it is shown in a sentence, cut short. */
function shown(value: unknown): string {
  const written = JSON.stringify(value) ?? 'nothing'
  return written.length > 80 ? `${written.slice(0, 77)}...` : written
}

/** The candidate with the fewest changed letters. */
export function nearestOf(name: string, candidates: readonly string[]): string {
  const [nearest = ''] = candidates.toSorted((a, b) => distance(name, a) - distance(name, b))
  return nearest
}

/** Levenshtein's distance. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i]
    for (let j = 1; j <= b.length; j += 1) {
      const kept = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(kept, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}
