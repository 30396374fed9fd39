/**
 * Starts a server: opens its store and its keys, builds it, and lets it listen. What is passed in
 * decides whether it is a real one or one of the simulation.
 *
 * @module
 */

import { dirname, join } from 'node:path/posix'
import type { Config } from '#config/settings.ts'
import { createFederation, type Federation } from '#federation/federation.ts'
import { loadOwnKeys } from '#federation/key-rotation.ts'
import type { OldKey } from '#federation/own-keys.ts'
import { isWorthless } from '#federation/published-keys.ts'
import { loadSigningKey, SigningKeyRefused } from '#federation/signing-key.ts'
import type { Listening } from '#io/http.ts'
import type { Io } from '#io/io.ts'
import { type Pressure, watchPressure } from '#pressure/pressure.ts'
import { Blocks } from '#rooms/blocks.ts'
import { createLocalRooms } from '#rooms/create-engine.ts'
import type { Shares } from '#rooms/engine-parts.ts'
import { FairShare } from '#rooms/fair-share.ts'
import type { Signer } from '#rooms/remote-servers.ts'
import { beginAnewOnCopy } from '#storage/restorations.ts'
import { openStreams } from '#storage/streams.ts'
import { buildServer, type Surroundings } from './build-server.ts'
import { listenAll } from './listeners.ts'
import type { Server } from './server.ts'

const begunOnCopy =
  'the store is a backup that was put back: positions and keys that may have been given out since are ' +
  'passed over, and other servers are asked for what is missing'

/** A server that runs. */
export interface RunningServer {
  readonly server: Server
  /** Where it listens, in the order of the configuration. */
  readonly listening: readonly (Pick<Listening, 'replaceCertificate'> & {
    readonly url: string
    readonly apis: readonly string[]
  })[]
  /** Stops taking requests, lets what is under way finish for at most `graceMs`, and ends. */
  close(graceMs: number): Promise<void>
}

/** Starts a server. Certificates and keys of listeners are texts here, not paths. */
export async function startServer(config: Config, around: Surroundings): Promise<RunningServer> {
  const { io, db } = around
  if (await beginAnewOnCopy(db, io)) io.log.warn(begunOnCopy)
  const streams = await openStreams(db)
  const keyPath = join(config.data_dir, 'signing.key')
  const keys = await loadOwnKeys(config.server_name, keyPath, io)
  const { signer } = keys
  const blocks = await Blocks.open({ ...io, db })
  const federation = await buildFederation(config, around, { ...keys, blocks })
  const pressure = await watchPressure({ ...io, ...watched(config) })
  const shares = sharesOf(io, pressure)
  const local = await createLocalRooms({ ...io, ...federation, signer, db, streams, shares })
  const policySigner = await policySignerOf(config, io)
  pressure.onShortage(() => local.forgetIdle())
  federation.backOff.onReturn((server) => local.serverReturned(server))
  const parts = { streams, signer, federation, local, policySigner, pressure, shares, blocks }
  const { server, resume, finish } = buildServer(config, around, parts)
  await server.media.resume()
  const sockets = await listenAll(config, around, { server, federation })
  federation.startSending(server.rooms, server.endToEnd.deviceEdusOf)
  resume().catch((error: unknown) => io.log.error('could not catch up after the start', { error }))
  return {
    server,
    listening: sockets.map(({ socket, url, apis }) => ({
      url,
      apis,
      replaceCertificate: socket.replaceCertificate,
    })),
    close: async (graceMs) => {
      pressure.close()
      blocks.close()
      await Promise.all(sockets.map(({ socket }) => socket.close(graceMs)))
      await federation.close()
      await server.push.close()
      server.endToEnd.close()
      await server.rooms.close()
      await server.delayedEvents.close()
      await server.search.close()
      await server.userDirectory.close()
      await finish()
      await io.httpClient.close()
      await io.outboundHttpClient.close()
      await io.pduChecker.close()
      await io.thumbnailer.close()
      await db.close()
    },
  }
}

/** What is to be looked after of the machine. */
function watched({ data_dir: folder, database, ...config }: Config) {
  const { disk_reserve_bytes: reserveBytes, load_shedding: shedsLoad } = config
  const file = database.type === 'sqlite' ? database.path : null
  return { folders: file === null ? [folder] : [folder, dirname(file)], reserveBytes, shedsLoad }
}

/** The shares of the thread, of which nobody gets more than theirs while there is much to do. */
function sharesOf({ clock, machine }: Io, pressure: Pressure): Shares {
  const needs = {
    clock,
    machine,
    isBusy: () => pressure.isBusy,
    isSuffering: () => pressure.isSuffering,
  }
  return { origins: new FairShare(needs), rooms: new FairShare(needs) }
}

async function buildFederation(
  config: Config,
  { io, db }: Surroundings,
  {
    signer,
    oldKeys,
    blocks,
  }: {
    readonly signer: Signer
    readonly oldKeys: readonly OldKey[]
    readonly blocks: Blocks
  },
): Promise<Federation> {
  const { trusted_key_servers: trustedKeyServers, allow, deny, retry } = config.federation
  const stolenKeys = new Set(config.federation.stolen_keys)
  if (isWorthless(signer.publicKey, stolenKeys)) {
    const what = 'The signing key of this server is among the stolen_keys'
    throw new SigningKeyRefused(`${what}: make another with hansa key rotate.`)
  }
  return await createFederation({
    ...io,
    db,
    signer,
    trustedKeyServers,
    quorum: config.federation.key_server_quorum,
    stolenKeys,
    oldKeys,
    isBlocked: (server) => blocks.isBlocked(server),
    // A server that does not federate allows no other one.
    allow: config.federation.enabled ? allow : [],
    deny,
    retry: { minMs: retry.min_ms, maxMs: retry.max_ms },
  })
}

/** The key by which this server signs as a policy server; another one than its own. */
async function policySignerOf(config: Config, io: Io): Promise<Signer | undefined> {
  if (!config.policy_server.enabled) return undefined
  const path = join(config.data_dir, 'policy_server.key')
  return await loadSigningKey(config.server_name, path, io)
}
