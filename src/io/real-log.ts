/**
 * The log of a real server: pino, one JSON object a line, or plain text for a terminal.
 *
 * @module
 */

import { pino } from 'pino'
import type { Log } from './log.ts'

export type LogLevel = 'error' | 'warn' | 'info' | 'debug'

/** Errors become their message, their causes and their stack. */
function plain(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const entries = Object.entries(fields).map(([key, value]) => [
    key,
    value instanceof Error ? pino.stdSerializers.errWithCause(value) : value,
  ])
  return Object.fromEntries(entries)
}

function jsonLog(level: LogLevel): Log {
  const target = pino.destination({ dest: 1, sync: true, maxLength: keptBytesMax })
  target.on('error', loseLine)
  const logger = pino({ level, base: null }, target)
  return {
    error: (message, fields = {}) => logger.error(plain(fields), message),
    warn: (message, fields = {}) => logger.warn(plain(fields), message),
    info: (message, fields = {}) => logger.info(plain(fields), message),
    debug: (message, fields = {}) => logger.debug(plain(fields), message),
  }
}

function textLog(level: LogLevel): Log {
  const levels: LogLevel[] = ['error', 'warn', 'info', 'debug']
  const line = (at: LogLevel) => (message: string, fields?: Readonly<Record<string, unknown>>) => {
    if (levels.indexOf(at) > levels.indexOf(level)) return
    const rest = fields === undefined ? '' : ` ${JSON.stringify(plain(fields))}`
    process.stdout.write(`${new Date().toISOString()} ${at} ${message}${rest}\n`)
  }
  return { error: line('error'), warn: line('warn'), info: line('info'), debug: line('debug') }
}

/** What cannot be written is kept up to this, and written when it can be again. */
const keptBytesMax = 1024 * 1024

/** A log on a full disk, or that nobody reads any more, is no reason for a server to end. */
function loseLine(): void {}

/** Writes to the standard output of the process, and goes on without where that cannot be written. */
export function realLog(options: { level: LogLevel; format: 'json' | 'text' }): Log {
  process.stdout.on('error', loseLine)
  return options.format === 'json' ? jsonLog(options.level) : textLog(options.level)
}
