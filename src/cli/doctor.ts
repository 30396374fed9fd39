/**
 * `hansa doctor`: examines another server as our federation sees it, step by step.
 *
 * It works beside a server that runs, with its key and what it knows, and changes nothing.
 *
 * @module
 */

import { createDiscovery } from '#federation/discovery.ts'
import { type ExaminationNeeds, examineServer } from '#federation/examination/examine-server.ts'
import { dateText, type Finding, note } from '#federation/examination/finding.ts'
import { realClock } from '#io/real-clock.ts'
import { realNetwork } from '#io/real-network.ts'
import { realRandom } from '#io/real-random.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import { parseServerName } from '#protocol/identifiers/server-name.ts'
import type { Database } from '#storage/database.ts'
import { failingDestinations } from '#storage/destinations.ts'
import { serverKeysOf } from '#storage/server-keys.ts'
import { networkOptionsOf, readConfig } from './config.ts'
import { doctorStore } from './doctor-store.ts'
import { Printer } from './findings.ts'
import { openStore, ownSigner } from './store.ts'

export async function doctor(
  name: string | undefined,
  options: { readonly config: string; readonly json: boolean; readonly store: boolean },
): Promise<void> {
  if (options.store) {
    if (name !== undefined) throw new Error('Name a server, or --store, not both.')
    await doctorStore(options)
    return
  }
  const server = name === undefined ? undefined : parseServerName(name)
  if (server === undefined) throw new Error(`${name ?? 'Nothing'} is no server name.`)
  const config = await readConfig(options.config)
  const db = await openStore(config)
  const network = realNetwork(await networkOptionsOf(config))
  const printer = new Printer(server, options)
  try {
    const needs: ExaminationNeeds = {
      ...network,
      clock: realClock,
      discovery: createDiscovery({ ...network, clock: realClock, random: realRandom }),
      signer: await ownSigner(config),
      allowPrivateIps: config.federation.allow_private_ips,
      seenKeys: async (other) => {
        const rows = await serverKeysOf(db, other)
        return rows.map((row) => ({ keyId: row.key_id, key: row.key_base64 }))
      },
    }
    printer.print(...(await whatWeKnow(db, server)))
    for await (const finding of examineServer(needs, server)) printer.print(finding)
  } finally {
    await network.httpClient.close()
    await network.outboundHttpClient.close()
    await db.close()
  }
  process.exitCode = printer.finish()
}

async function whatWeKnow(db: Database, server: ServerName): Promise<Finding[]> {
  const failing = await failingDestinations(db)
  const own = failing.find(({ destination }) => destination === server)
  if (own === undefined) return []
  const found = `Our server leaves it alone until ${dateText(own.retry_at_ts)}, because it fails since ${dateText(own.failing_since_ts)}: ${own.reason}.`
  return [note('settings', found)]
}
