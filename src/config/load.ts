/**
 * From a YAML text and the environment to a checked configuration.
 *
 * Each key can also be given by the environment: `federation.retry.min_ms` is
 * `HANSA_FEDERATION__RETRY__MIN_MS`. Values there are read as YAML.
 *
 * @module
 */

import { parseDocument } from 'yaml'
import { type Kind, nearestOf, type Problems, type Setting } from './kinds.ts'
import { type Config, settings } from './settings.ts'

/** A configuration that cannot be used; the message has a line for each problem. */
export class ConfigError extends Error {
  readonly problems: readonly string[]

  constructor(problems: readonly string[], options: { cause?: unknown } = {}) {
    super(problems.join('\n'), options)
    this.name = 'ConfigError'
    this.problems = problems
  }
}

const prefix = 'HANSA_'

/** What begins so in the environment is for tests, not a setting. */
const notSettings = ['HANSA_TEST_', 'HANSA_PYTHON', 'HANSA_FAILPOINT']

/** Reads a configuration. Throws `ConfigError` with all problems at once. */
export function loadConfig(
  yaml: string,
  environment: Readonly<Record<string, string | undefined>>,
): Config {
  const problems: Problems = []
  const given = readYaml(yaml, 'the file') ?? {}
  const merged = withEnvironment(given, environment, problems)
  const config = settings.read('', merged, problems)
  if (problems.length > 0 || config === undefined) throw new ConfigError(problems)
  const together = checkTogether(config)
  if (together.length > 0) throw new ConfigError(together)
  return config
}

/** The value of a YAML text; `place` is where it stands. Throws `ConfigError` for what is none. */
function readYaml(yaml: string, place: string): unknown {
  const document = parseDocument(yaml)
  if (document.errors.length > 0) {
    throw new ConfigError(document.errors.map((error) => `${place} is not YAML: ${error.message}`))
  }
  try {
    const value: unknown = document.toJS()
    // What is part of itself has no JSON.
    JSON.stringify(value)
    return value
  } catch (cause) {
    // An alias of nothing, of too much, or of what it is in.
    const why = cause instanceof Error ? cause.message.split('\n')[0] : String(cause)
    throw new ConfigError([`${place} cannot be read: ${why}`], { cause })
  }
}

/** What single settings cannot say. */
function checkTogether(config: Config): string[] {
  const problems: string[] = []
  if (config.database.type === 'postgres' && config.database.url === null) {
    problems.push('database.url: found nothing, expected where PostgreSQL is')
  }
  if (config.federation.retry.max_ms < config.federation.retry.min_ms) {
    problems.push('federation.retry.max_ms: it is less than federation.retry.min_ms')
  }
  const { smtp_host, from } = config.email
  if (config.registration.verification === 'email' && (smtp_host === null || from === null)) {
    problems.push(
      'registration.verification: found email, expected email.smtp_host and email.from too',
    )
  }
  for (const [index, { matrix_id, email_address }] of config.support.contacts.entries()) {
    if (matrix_id !== null || email_address !== null) continue
    problems.push(`support.contacts[${index}]: expected a matrix_id or an email_address`)
  }
  return problems
}

function withEnvironment(
  given: unknown,
  environment: Readonly<Record<string, string | undefined>>,
  problems: Problems,
): unknown {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) return given
  const merged: Record<string, unknown> = { ...given }
  for (const [name, value] of Object.entries(environment)) {
    if (value === undefined || !name.startsWith(prefix)) continue
    if (notSettings.some((other) => name.startsWith(other))) continue
    const path = name.slice(prefix.length).toLowerCase().split('__')
    if (kindAt(path) === undefined) {
      const nearest = nearestOf(name, allKeys().map(environmentName))
      problems.push(`${name}: there is no such setting; the nearest is ${nearest}`)
    } else {
      put(merged, path, readYaml(value, name))
    }
  }
  return merged
}

function kindAt(path: readonly string[]): Kind<unknown> | undefined {
  let kind: Kind<unknown> = settings
  for (const name of path) {
    const field: Setting<unknown> | undefined =
      kind.fields && Object.hasOwn(kind.fields, name) ? kind.fields[name] : undefined
    if (field === undefined) return undefined
    kind = field.kind
  }
  return kind
}

function put(into: Record<string, unknown>, path: readonly string[], value: unknown): void {
  const [name = '', ...rest] = path
  if (rest.length === 0) {
    into[name] = value
    return
  }
  const below = into[name]
  const inner = typeof below === 'object' && below !== null ? { ...below } : {}
  into[name] = inner
  put(inner, rest, value)
}

/** All keys with a value of their own, as paths. */
function allKeys(fields: Readonly<Record<string, Setting<unknown>>> = settings.fields): string[] {
  return Object.entries(fields).flatMap(([name, field]) =>
    field.kind.fields ? allKeys(field.kind.fields).map((key) => `${name}.${key}`) : [name],
  )
}

/** The name in the environment of a key. */
export function environmentName(key: string): string {
  return prefix + key.replaceAll('.', '__').toUpperCase()
}
