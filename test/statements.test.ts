/**
 * Every SQL statement of `storage/`, as it is written there: both databases understand it, and
 * SQLite finds its rows by an index. Statements are read from the source, so that one that no other
 * test happens to run is seen too.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { constants, DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { Client } from 'pg'
import type { Parameter } from '#storage/database.ts'
import { programMigrations, statementsOf } from '#storage/migrate.ts'
import { queryOf } from '#storage/postgres-sql.ts'
import { sqliteText } from '#storage/sqlite-connection.ts'
import { databaseKinds, emptySchema, reasonToSkip } from './databases.ts'
import { postgresUrl } from './postgres-cluster.ts'

/** Statements that read a whole table, and why they may. */
const wholeTables: Readonly<Record<string, string>> = {
  removeRests: 'what a crash left of rooms, at start: at most a few rows',
  takeRoomAway: 'done when an administrator removes a room',
  allPushers: 'read once, at the start',
  undeliveredTo: 'asked when an administrator removes a room',
  leastUsedRemoteMedia: 'one end of an index',
  nextDelayedEvents: 'one end of an index',
  isAnyInQuarantine: 'one end of an index',
  remoteMediaBytes: 'read once, at the start',
  looseFiles: 'read once, at the start; few are ever left',
  failingDestinations: 'read once, at the start',
  outboxDestinations: 'read once, at the start',
  allBlocks: 'what it gives is all of them; they are few',
  eduDestinations: 'read once, at the start',
  roomsWithStaged: 'read once, at the start; few are ever left',
  partialRoomRows: 'read at the start, and by administrators; there are seldom more than a few',
  allRooms: 'what it gives is all of them',
  outdatedRooms: 'each published room is compared with its state; there are thousands at most',
  roomsWithStateSince: 'read once, at the start',
  deviceOutboxDestinations: 'read once, at the start',
  roomsOfGuests: 'read once, at the start: the accounts, and of guests what they are in',
  staleDeviceLists: 'read once, at the start; few are ever left',
  usersWithUntoldChanges: 'read once, at the start; what a crash cut short',
  usersWithUntoldSigningKeys: 'read once, at the start; what a crash cut short',
  allRoomRows: 'asked by who looks through a store that nobody uses',
  eventsToCheck: 'asked by who looks through a store that nobody uses',
  eventsWithoutRoom: 'asked by who looks through a store that nobody uses',
  missingStates: 'asked by who looks through a store that nobody uses',
  eventNumbers: 'asked by who looks through a store that nobody uses',
  namedFiles: 'asked by who looks through a store that nobody uses',
  forgetKeysGivenOut: 'done once, when a backup was put back',
  forgetWhatClientsWereTold: 'done once, when a backup was put back',
  tellOfAllDevices: 'done once, when a backup was put back',
  askForAllDevices: 'done once, when a backup was put back',
  waitingCounts: 'asked by who looks through a store that nobody uses',
}

interface Statement {
  readonly place: string
  readonly texts: string[]
  readonly values: Parameter[]
}

const statements = globSync('src/**/*.ts')
  .filter((path) => !path.endsWith('.test.ts') && !path.endsWith('storage/database.ts'))
  .flatMap((path) => statementsOfFile(path))

test('only storage/ holds SQL', () => {
  assert.ok(statements.length > 80)
  assert.deepEqual(
    statements.filter(({ place }) => !place.startsWith('src/storage/')).map(({ place }) => place),
    [],
  )
})

test('SQLite finds the rows of every statement by an index', () => {
  const db = emptySqlite()
  const scans: string[] = []
  for (const { place, texts, values } of statements) {
    if (/\bwriter\b|\bFROM migrations\b/.test(texts.join())) continue
    const plan = db.prepare(`EXPLAIN QUERY PLAN ${sqliteText(texts, values)}`)
    for (const { detail } of plan.all() as { detail: string }[]) {
      // Reading one end of an index, a list of ours, or rows found before, is not reading a table.
      if (!/^SCAN (?!json_each|\d+|log\b|CONSTANT)/.test(detail)) continue
      if (wholeTables[place.split('#')[1] ?? ''] === undefined) scans.push(`${place}: ${detail}`)
    }
  }
  assert.deepEqual(scans, [])
})

test('SQLite prepares no statement anew when other values are bound', () => {
  const db = emptySqlite()
  let preparing = 0
  db.setAuthorizer(() => {
    preparing += 1
    return constants.SQLITE_OK
  })
  const anew = statements.filter(({ texts, values }) => {
    if (/\bwriter\b|\bFROM migrations\b/.test(texts.join())) return false
    const plan = db.prepare(`EXPLAIN QUERY PLAN ${sqliteText(texts, values)}`)
    plan.all(...values.map(() => 1))
    const before = preparing
    plan.all(...values.map(() => 2))
    return preparing > before
  })
  assert.ok(preparing > 0)
  assert.deepEqual(
    anew.map(({ place }) => place),
    [],
  )
})

function emptySqlite(): DatabaseSync {
  const db = new DatabaseSync(':memory:')
  for (const migration of programMigrations) {
    for (const text of statementsOf(migration, 'sqlite')) db.exec(text)
  }
  return db
}

const postgres = databaseKinds.find(({ name }) => name === 'postgres')
const skip = postgres === undefined || reasonToSkip(postgres)

test('PostgreSQL understands every statement', { skip }, async (t) => {
  const url = await postgresUrl()
  const schema = await emptySchema(url)
  const client = new Client({ connectionString: url, options: `-c search_path=${schema}` })
  await client.connect()
  t.after(() => client.end())
  for (const migration of programMigrations) {
    for (const text of statementsOf(migration, 'postgres')) await client.query(text)
  }
  const failures: string[] = []
  for (const { place, texts, values } of statements) {
    if (/\bwriter\b|\bFROM migrations\b/.test(texts.join())) continue
    const { name, text } = queryOf({ texts, values })
    await client.query(`PREPARE ${name} AS ${text}`).catch((error: Error) => {
      failures.push(`${place}: ${error.message}: ${text}`)
    })
  }
  assert.deepEqual(failures, [])
})

/** The statements of a file, each with the name of the function it is in. */
function statementsOfFile(path: string): Statement[] {
  const source = readFileSync(path, 'utf8')
  return templatesIn(source).flatMap(({ at, template }) => {
    if (!/^\s*(?:SELECT|WITH|INSERT|UPDATE|DELETE)\b/.test(template.texts[0] ?? '')) return []
    const name = [...source.slice(0, at).matchAll(/^(?:export )?(?:async )?function (\w+)/gm)].at(
      -1,
    )?.[1]
    return variants(template, source).map((variant) => ({ place: `${path}#${name}`, ...variant }))
  })
}

interface Template {
  readonly texts: string[]
  readonly expressions: string[]
}

/** The outermost `sql` templates of a source. */
function templatesIn(source: string): { at: number; template: Template }[] {
  const found: { at: number; template: Template }[] = []
  for (let at = source.indexOf('sql`'); at !== -1; at = source.indexOf('sql`', at)) {
    const { template, end } = readTemplate(source, at + 4)
    found.push({ at, template })
    at = end
  }
  return found
}

function readTemplate(source: string, start: number): { template: Template; end: number } {
  const texts = ['']
  const expressions: string[] = []
  let at = start
  while (source[at] !== '`') {
    assert.ok(at < source.length, 'a template ends')
    if (source.startsWith('${', at)) {
      const end = endOfExpression(source, at + 2)
      expressions.push(source.slice(at + 2, end).trim())
      texts.push('')
      at = end + 1
    } else {
      texts.push(`${texts.pop()}${source[at]}`)
      at += 1
    }
  }
  return { template: { texts, expressions }, end: at + 1 }
}

function endOfExpression(source: string, start: number): number {
  let depth = 0
  let at = start
  while (depth > 0 || source[at] !== '}') {
    if (source[at] === '{') depth += 1
    if (source[at] === '}') depth -= 1
    at = source[at] === '`' ? readTemplate(source, at + 1).end : at + 1
  }
  return at
}

/** What a template can become: with each of the fragments that may stand in its places. */
function variants(
  { texts, expressions }: Template,
  source: string,
): { texts: string[]; values: Parameter[] }[] {
  let all = [{ texts: [texts[0] ?? ''], values: [] as Parameter[] }]
  for (const [index, expression] of expressions.entries()) {
    const next = texts[index + 1] ?? ''
    const parts = partsFor(expression, source)
    all = all.flatMap((head) => parts.map((part) => joined(head, part, next)))
  }
  return all
}

type Part = Parameter | { texts: string[]; values: Parameter[] }

function partsFor(expression: string, source: string): Part[] {
  const list = /^(texts|integers|bytes)\(/.exec(expression)?.[1]
  if (list === 'texts') return [{ list: 'text', values: [] }]
  if (list === 'integers') return [{ list: 'integer', values: [] }]
  if (list === 'bytes') return [{ list: 'bytes', values: [] }]
  const fragments = templatesIn(expression)
  const named = /^\w+$/.test(expression)
    ? new RegExp(`const ${expression}(?:: Sql)? =\\s*(?:[^\\n]*\\? )?(?=sql\`)`).exec(source)
    : null
  if (named !== null) {
    const definition = source.slice(named.index + named[0].length)
    const { end } = readTemplate(definition, 4)
    const other = /^\s*: sql`/.exec(definition.slice(end))
    fragments.push(...templatesIn(definition).slice(0, other === null ? 1 : 2))
  }
  fragments.push(...fragmentsMadeFor(expression, source))
  if (fragments.length === 0) return [null]
  return fragments.flatMap(({ template }) => variants(template, source))
}

/** What a function of the file gives as a fragment, or what is passed under a name. */
function fragmentsMadeFor(
  expression: string,
  source: string,
): { at: number; template: Template }[] {
  const called = /^(\w+)\(/.exec(expression)?.[1]
  const made =
    called && new RegExp(`function ${called}\\([^]*?\\): Sql \\{\n[^]*?\n\\}`).exec(source)
  if (made) return templatesIn(made[0])
  if (!/^\w+$/.test(expression)) return []
  return [...source.matchAll(new RegExp(`\\b${expression}: (?=sql\`)`, 'g'))].map(
    ({ index, 0: name }) => {
      const at = index + name.length
      return { at, template: readTemplate(source, at + 4).template }
    },
  )
}

function joined(
  head: { texts: string[]; values: Parameter[] },
  part: Part,
  next: string,
): { texts: string[]; values: Parameter[] } {
  if (part === null || typeof part !== 'object' || !('texts' in part)) {
    return { texts: [...head.texts, next], values: [...head.values, part as Parameter] }
  }
  const texts = [...head.texts]
  const [first = '', ...rest] = part.texts
  texts.push(`${texts.pop()}${first}`, ...rest)
  texts.push(`${texts.pop()}${next}`)
  return { texts, values: [...head.values, ...part.values] }
}
