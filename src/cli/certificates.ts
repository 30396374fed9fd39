/**
 * The certificates of the listeners: read at the start, and again while the server runs, because
 * who renews a certificate writes it into the same files.
 *
 * @module
 */

import type { Config } from '#config/settings.ts'
import type { Clock } from '#io/clock.ts'
import type { Files } from '#io/files.ts'
import type { Listening } from '#io/http.ts'
import type { Log } from '#io/log.ts'
import { readNamed } from './config.ts'

/** How often the files are read again. Certificates are renewed days before they end. */
const lookMs = 60_000

interface Pair {
  readonly cert: string
  readonly key: string
}

/** The configuration with the texts of certificates in the place of their paths. */
export async function withCertificates(config: Config): Promise<Config> {
  const listeners: Config['listeners'][number][] = []
  for (const listener of config.listeners) {
    if (listener.tls === null) {
      listeners.push(listener)
      continue
    }
    const cert = await readNamed('listeners.tls.cert', listener.tls.cert)
    const key = await readNamed('listeners.tls.key', listener.tls.key)
    listeners.push({ ...listener, tls: { cert, key } })
  }
  return { ...config, listeners }
}

/**
 * Looks every minute whether the files have changed, and then uses what they hold for connections
 * from there on. What cannot be used, such as a certificate whose key is yet to be written, is told
 * once, and the one before stays.
 */
export function followCertificates(
  { files, clock, log }: { readonly files: Files; readonly clock: Clock; readonly log: Log },
  followed: {
    readonly paths: Pair
    readonly listening: Pick<Listening, 'replaceCertificate'>
    readonly inUse: Pair
  },
): void {
  const { paths, listening } = followed
  let last = followed.inUse
  const look = async () => {
    const cert = await files.readText(paths.cert)
    const key = await files.readText(paths.key)
    // A file is away for a moment while it is replaced.
    if (!cert || !key) return
    const found = { cert, key }
    if (found.cert === last.cert && found.key === last.key) return
    last = found
    listening.replaceCertificate(found)
    log.info('a certificate is renewed', { path: paths.cert })
  }
  const lookAgain = () => {
    clock.after(lookMs, () => {
      look()
        .catch((error: unknown) =>
          log.warn('a certificate cannot be used; the one before stays', {
            path: paths.cert,
            error,
          }),
        )
        .finally(lookAgain)
    })
  }
  lookAgain()
}
