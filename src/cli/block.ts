/**
 * `hansa block add`, `list`, `lift`: rooms and servers that are shut out, worked on in the database
 * itself. A running server sees it within half a minute.
 *
 * @module
 */

import { dateText } from '#federation/examination/finding.ts'
import { realClock } from '#io/real-clock.ts'
import { parseBlocked } from '#rooms/blocks.ts'
import { allBlocks, removeBlock, saveBlock } from '#storage/blocks.ts'
import type { Database } from '#storage/database.ts'
import { readConfig } from './config.ts'
import { printable } from './findings.ts'
import { openStore } from './store.ts'

interface Options {
  readonly config: string
}

async function withStore(options: Options, work: (db: Database) => Promise<void>): Promise<void> {
  const db = await openStore(await readConfig(options.config))
  try {
    await work(db)
  } finally {
    await db.close()
  }
}

function nameOf(text: string): string {
  const name = parseBlocked(text)
  if (name === undefined) throw new Error(`${text} is neither a room ID nor a server name.`)
  return name.startsWith('!') ? name : name.toLowerCase()
}

export async function addBlock(
  text: string,
  options: Options & { readonly reason: string },
): Promise<void> {
  const name = nameOf(text)
  const { server_name: own } = await readConfig(options.config)
  if (name === own.toLowerCase()) throw new Error('A server cannot shut itself out.')
  const row = { name, reason: options.reason, blocked_ts: realClock.now() }
  await withStore(options, (db) => db.write((tx) => saveBlock(tx, row)))
  console.log(`${name} is blocked.`)
}

export async function liftBlock(text: string, options: Options): Promise<void> {
  const name = nameOf(text)
  await withStore(options, async (db) => {
    if (!(await db.write((tx) => removeBlock(tx, name)))) throw new Error(`${name} is not blocked.`)
  })
  console.log(`${name} is blocked no more.`)
}

export async function listBlocks(options: Options): Promise<void> {
  await withStore(options, async (db) => {
    for (const { name, reason, blocked_ts: sinceTs } of await allBlocks(db)) {
      const parts = [name, dateText(sinceTs), reason]
      console.log(printable(parts.filter((part) => part !== '').join('  ')))
    }
  })
}
