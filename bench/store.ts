/**
 * The database of a server that is measured: a file, or one of its own in a PostgreSQL cluster that
 * lives as long as the bench. Both are as durable as a server's must be.
 *
 * @module
 */

import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Client } from 'pg'
import { postgresUrl } from '../test/postgres-cluster.ts'
import type { Kind } from './subject.ts'

export const storeKinds = ['sqlite', 'postgres'] as const
export type StoreKind = (typeof storeKinds)[number]

export interface Store {
  /** The setting `database` of the server's configuration, as YAML. */
  readonly setting: string
  readonly file?: string
  /** The bytes of it that are in use, the log's included. */
  bytes(): Promise<number>
}

/** An empty one for a server whose files are in `folder`. */
export async function makeStore(store: StoreKind, kind: Kind, folder: string): Promise<Store> {
  return store === 'sqlite' ? sqliteStore(kind, folder) : await postgresStore(kind)
}

function sqliteStore(kind: Kind, folder: string): Store {
  const file = join(folder, 'bench.db')
  const settings = {
    hansa: `{type: sqlite, path: ${file}}`,
    synapse: `{name: sqlite3, args: {database: ${file}}}`,
  }
  return { setting: settings[kind], file, bytes: async () => sqliteBytes(file) }
}

function sqliteBytes(file: string): number {
  const db = new DatabaseSync(file, { readOnly: true })
  const pragma = (name: string) => Number(db.prepare(`PRAGMA ${name}`).get()?.[name])
  const bytes = (pragma('page_count') - pragma('freelist_count')) * pragma('page_size')
  db.close()
  return bytes
}

let databases = 0

async function postgresStore(kind: Kind): Promise<Store> {
  databases += 1
  const name = `bench${databases}`
  const cluster = await postgresUrl()
  await query(cluster, `CREATE DATABASE ${name}`)
  const url = cluster.replace('/postgres?', `/${name}?`)
  const { searchParams } = new URL(url)
  const args = `{user: ${searchParams.get('user')}, host: ${searchParams.get('host')}, dbname: ${name}}`
  const settings = {
    hansa: `{type: postgres, url: "${url}"}`,
    synapse: `{name: psycopg2, args: ${args}}`,
  }
  return {
    setting: settings[kind],
    bytes: async () => Number((await query(url, `SELECT pg_database_size('${name}') AS n`))?.n),
  }
}

async function query(url: string, text: string): Promise<{ n: string } | undefined> {
  const client = new Client(url)
  await client.connect()
  const { rows } = await client.query<{ n: string }>(text)
  await client.end()
  return rows[0]
}
