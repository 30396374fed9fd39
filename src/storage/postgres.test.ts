import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { test as nodeTest, type TestContext } from 'node:test'
import { Client } from 'pg'
import { realClock } from '#io/real-clock.ts'
import { databaseKinds, emptySchema, reasonToSkip } from '../../test/databases.ts'
import { postgresUrl } from '../../test/postgres-cluster.ts'
import { type Database, DatabaseFailed, DatabaseRefused, sql } from './database.ts'
import { type Migration, migration } from './migrate.ts'
import { openPostgres } from './postgres.ts'

const postgres = databaseKinds.find(({ name }) => name === 'postgres')
const skip = postgres === undefined || reasonToSkip(postgres)
const test = (name: string, body: (t: TestContext) => Promise<void>) =>
  nodeTest(name, { skip }, body)

const migrations = [
  migration(
    '0001-counters.sql',
    `CREATE TABLE counters (name TEXT NOT NULL PRIMARY KEY, n BIGINT NOT NULL) WITHOUT_ROWID;
     INSERT INTO counters (name, n) VALUES ('a', 0);`,
  ),
]

interface Opening {
  readonly url?: string
  readonly schema?: string
  readonly migrations?: readonly Migration[]
  readonly mayShare?: boolean
}

async function open(t: TestContext, opening: Opening = {}) {
  const url = opening.url ?? (await postgresUrl())
  const schema = opening.schema ?? (await emptySchema(await postgresUrl()))
  const fatal: DatabaseFailed[] = []
  const db = await openPostgres({
    migrations,
    ...opening,
    url,
    schema,
    clock: realClock,
    lockWaitMs: 200,
    onFatal: (error) => fatal.push(error),
  })
  t.after(() => db.close())
  return { db, url, schema, fatal }
}

const count = (db: Database) =>
  db.write((tx) => tx.expect(sql`UPDATE counters SET n = n + 1 WHERE name = 'a'`, 'no counter'))

async function counted(db: Database): Promise<number | undefined> {
  return (await db.first<{ n: number }>(sql`SELECT n FROM counters WHERE name = 'a'`))?.n
}

/** Another session of the same database. */
async function session(t: TestContext): Promise<Client> {
  const client = new Client(await postgresUrl())
  await client.connect()
  t.after(() => client.end())
  return client
}

test('a server that may lose what it has acknowledged is refused', async () => {
  const url = `${await postgresUrl()}&options=-c%20synchronous_commit%3Doff`
  await assert.rejects(
    openPostgres({ url, clock: realClock, onFatal: () => {}, migrations }),
    new DatabaseRefused(
      'PostgreSQL runs with synchronous_commit = off: it may lose what it has acknowledged. Switch it on.',
    ),
  )
})

test('a database has one writer, and is as it was when it is opened again', async (t) => {
  const { db, schema } = await open(t)
  await count(db)
  await assert.rejects(open(t, { schema }), DatabaseRefused)
  await db.close()
  const { db: again } = await open(t, { schema })
  assert.equal(await counted(again), 1)
  await again.close()
  await assert.rejects(open(t, { schema, migrations: [] }), /does not know/)
})

test('a command writes beside a server, but does not migrate under it', async (t) => {
  const { db, schema } = await open(t)
  const { db: beside } = await open(t, { schema, mayShare: true })
  await Promise.all([count(beside), count(db), count(beside)])
  assert.equal(await counted(db), 3)
  const newer = [...migrations, migration('0002-more.sql', 'CREATE TABLE more (a TEXT);')]
  await assert.rejects(open(t, { schema, mayShare: true, migrations: newer }), /older version/)
})

test('a migration that fails leaves nothing', async (t) => {
  const schema = await emptySchema(await postgresUrl())
  const broken = migration('0002-broken.sql', 'CREATE TABLE half (a TEXT);\nCREATE TABL x;')
  await assert.rejects(open(t, { schema, migrations: [...migrations, broken] }), /0002-broken/)
  const { db } = await open(t, { schema })
  await assert.rejects(db.all(sql`SELECT * FROM half`), /does not exist/)
})

test('each unit counts once, however often connections are cut', async (t) => {
  const { db, schema, fatal } = await open(t)
  const other = await session(t)
  let acknowledged = 0
  let isCutting = true
  const caller = async () => {
    while (isCutting) {
      await count(db)
      acknowledged += 1
      await counted(db)
    }
  }
  const callers = Array.from({ length: 4 }, caller)
  for (let cut = 1; cut <= 8; cut += 1) {
    const target = acknowledged + 5
    while (acknowledged < target) await realClock.sleep(2)
    await other.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE application_name = 'hansa' AND pid IN
         (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid =
           (hashtextextended($1, 0) & 4294967295)::bigint::oid)`,
      [`hansa ${schema}`],
    )
  }
  isCutting = false
  await Promise.all(callers)
  assert.equal(await counted(db), acknowledged)
  assert.deepEqual(fatal, [])
})

test('a reader that is cut is replaced', async (t) => {
  const { db } = await open(t)
  const other = await session(t)
  for (let cut = 0; cut < 3; cut += 1) {
    const row = await db.first<{ pid: number }>(sql`SELECT pg_backend_pid() AS pid`)
    await other.query('SELECT pg_terminate_backend($1)', [row?.pid])
    assert.equal(await counted(db), 0)
  }
})

test('who asks or writes while the server is started again waits for it', async (t) => {
  const proxy = await cuttingProxy(t, true)
  const { db, fatal } = await open(t, {
    url: `postgresql://hansa@127.0.0.1:${proxy.port}/postgres`,
  })
  await Promise.all([count(db), counted(db)])
  proxy.refuseNext(6)
  const [asked] = await Promise.all([counted(db), count(db)])
  assert.ok(asked === 1 || asked === 2)
  assert.equal(await counted(db), 2)
  assert.deepEqual(fatal, [])
})

for (const arrives of [true, false]) {
  test(`a connection cut at COMMIT, which ${arrives ? 'arrives' : 'is lost'}`, async (t) => {
    const cutter = await cuttingProxy(t, arrives)
    const { db } = await open(t, { url: `postgresql://hansa@127.0.0.1:${cutter.port}/postgres` })
    await count(db)
    cutter.cutAtNextCommit()
    await Promise.all([count(db), count(db)])
    await count(db)
    assert.equal(await counted(db), 4)
    assert.equal(cutter.cuts(), 1)
  })
}

test('a writer that was replaced commits nothing any more', async (t) => {
  const { db, schema, fatal } = await open(t)
  await count(db)
  await (await session(t)).query(`UPDATE ${schema}.writer SET epoch = epoch + 1`)
  await assert.rejects(count(db), DatabaseFailed)
  await assert.rejects(count(db), DatabaseFailed)
  assert.equal(await counted(db), 1)
  assert.equal(fatal.length, 1)
})

/**
 * Stands between, and cuts a connection when it sees `COMMIT`, before or after passing it on, or all of them
 * when it is told to.
 */
async function cuttingProxy(t: TestContext, arrives: boolean) {
  const host = new URL((await postgresUrl()).replace('///', '//x/')).searchParams.get('host')
  const sockets = new Set<Socket>()
  let isCutting = false
  let cuts = 0
  let refusals = 0
  const server = createServer((near) => {
    if (refusals > 0) {
      refusals -= 1
      near.destroy()
      return
    }
    const far = connect(`${host}/.s.PGSQL.5432`)
    for (const socket of [near, far]) {
      sockets.add(socket.on('error', () => {}))
      socket.on('close', () => sockets.delete(socket))
    }
    far.on('close', () => near.destroy())
    near.on('close', () => far.end())
    far.pipe(near)
    near.on('data', (chunk) => {
      const cutsHere = isCutting && chunk.includes('COMMIT\0')
      if (!cutsHere || arrives) far.write(chunk)
      if (!cutsHere) return
      isCutting = false
      cuts += 1
      far.unpipe(near)
      near.destroy()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return {
    port: (server.address() as AddressInfo).port,
    /** Cuts all connections, and as many new ones at once. */
    refuseNext: (count: number) => {
      refusals = count
      for (const socket of sockets) socket.destroy()
    },
    cutAtNextCommit: () => {
      isCutting = true
    },
    cuts: () => cuts,
  }
}
