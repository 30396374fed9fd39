/**
 * The log: one line an event, with fields. Levels as everywhere: `error` needs a human.
 *
 * @module
 */

export interface Log {
  error(message: string, fields?: Readonly<Record<string, unknown>>): void
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void
  info(message: string, fields?: Readonly<Record<string, unknown>>): void
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void
}

/** A log that says nothing, for tests. */
export const silentLog: Log = { error() {}, warn() {}, info() {}, debug() {} }
