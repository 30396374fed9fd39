/**
 * `hansa start`: runs the server until it is told to end.
 *
 * SIGINT and SIGTERM end it in order; a second one ends it at once.
 *
 * @module
 */

import { dirname, join } from 'node:path'
import { type Config, withoutEffect } from '#config/settings.ts'
import { smtpOptions } from '#config-parts.ts'
import { realArgon2id } from '#io/argon2id.ts'
import type { Io } from '#io/io.ts'
import { realClock } from '#io/real-clock.ts'
import { realFiles } from '#io/real-files.ts'
import { realIo } from '#io/real-io.ts'
import { realRandom } from '#io/real-random.ts'
import { smtpMailer } from '#io/smtp-mailer.ts'
import { type RunningServer, startServer } from '#start-server.ts'
import { randomWord } from '#users/tokens.ts'
import { followCertificates, withCertificates } from './certificates.ts'
import { networkOptionsOf, readConfig } from './config.ts'
import { failuresOf } from './failures.ts'
import { makeFirstConfiguration } from './first-start.ts'
import { openServerStore } from './store.ts'

/** How long an end in order may take. */
const endMsMax = 10_000
/** Signals that come so close to the first one are the same one. */
const oneSignalMs = 500

export async function start({ config: path }: { config: string }): Promise<void> {
  const startedMs = realClock.monotonicMs()
  const failures = await failuresOf(process.env.HANSA_FAILPOINT)
  const files = failures?.files(realFiles) ?? realFiles
  const made = await makeFirstConfiguration(
    { files, clock: realClock, secret: () => randomWord(realRandom, 40) },
    { path, dataDir: join(dirname(path), 'data') },
  )
  if (made) console.log(`There was no ${path}: made one for this machine.`)
  const config = await readConfig(path)
  await realFiles.makeFolder(config.data_dir)
  const outside = await ioOf(config)
  const io = failures?.io(outside) ?? outside
  warnOfKeysWithoutEffect(config, io)
  const onFatal = (error: Error) => {
    io.log.error('the database has failed; ending, so that nothing is acknowledged wrongly', {
      error,
    })
    process.exit(1)
  }
  const store = await openServerStore(config, onFatal, failures?.ofCommits)
  const db = failures?.database(store, onFatal) ?? store
  const loaded = await withCertificates(config)
  const smtp = smtpOptions(config)
  const mailer = smtp && smtpMailer(smtp)
  const running = await startServer(loaded, { io, db, argon2id: realArgon2id, mailer })
  for (const [index, listening] of running.listening.entries()) {
    const paths = config.listeners[index]?.tls
    const inUse = loaded.listeners[index]?.tls
    if (paths && inUse) followCertificates(io, { paths, listening, inUse })
  }
  endWhenTold(running, io)
  greet(config, running, realClock.monotonicMs() - startedMs)
}

async function ioOf(config: Config): Promise<Io> {
  return realIo({ log: config.log, ...(await networkOptionsOf(config)) })
}

function warnOfKeysWithoutEffect(config: Config, { log }: Io): void {
  if (config.app_services.length > 0) {
    log.warn('app_services changes nothing in this version: application services are not served')
  }
  const { type } = config.database
  log.debug('starting', { server_name: config.server_name, database: type, withoutEffect })
}

function greet(config: Config, running: RunningServer, tookMs: number): void {
  console.log(`Hansa serves ${config.server_name} after ${Math.round(tookMs)} ms:`)
  for (const { url, apis } of running.listening) console.log(`  ${url}  ${apis.join(', ')}`)
  console.log('Make the first user with: npm run hansa -- user create <name> --admin')
}

function endWhenTold(running: RunningServer, { log }: Io): void {
  let toldMs: number | undefined
  const end = async () => {
    try {
      await running.close(endMsMax - 1000)
      log.info('ended')
      process.exit(0)
    } catch (error) {
      log.error('could not end in order', { error })
      process.exit(1)
    }
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (toldMs !== undefined) {
        // Ctrl-C under npm comes twice: from the terminal, and from npm.
        if (realClock.monotonicMs() - toldMs < oneSignalMs) return
        process.exit(1)
      }
      toldMs = realClock.monotonicMs()
      log.info(`${signal}: ending`)
      setTimeout(() => process.exit(1), endMsMax).unref()
      void end()
    })
  }
}
