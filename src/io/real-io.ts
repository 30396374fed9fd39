/**
 * The outside world of a real server.
 *
 * @module
 */

import { getServers } from 'node:dns'
import { createDnsClient } from './dns-client.ts'
import { hostsFile } from './hosts-file.ts'
import { createHttpClient } from './http-client.ts'
import { listen } from './http-server.ts'
import type { Io } from './io.ts'
import { pduCheckerWorkers } from './pdu-checker-workers.ts'
import { realClock } from './real-clock.ts'
import { realFiles } from './real-files.ts'
import { type LogLevel, realLog } from './real-log.ts'
import { realRandom } from './real-random.ts'

export interface RealIoOptions {
  readonly log: { readonly level: LogLevel; readonly format: 'json' | 'text' }
  /** PEM texts of authorities to trust beside the system's. */
  readonly ca: readonly string[]
  readonly allowPrivateIps: boolean
}

export function realIo(options: RealIoOptions): Io {
  const dns = createDnsClient({
    servers: getServers(),
    random: realRandom,
    hosts: hostsFile('/etc/hosts', realClock.monotonicMs),
  })
  return {
    clock: realClock,
    random: realRandom,
    httpClient: createHttpClient({
      dns,
      ca: options.ca,
      allowPrivateIps: options.allowPrivateIps,
    }),
    listen,
    dns,
    files: realFiles,
    log: realLog(options.log),
    pduChecker: pduCheckerWorkers(realClock),
  }
}
