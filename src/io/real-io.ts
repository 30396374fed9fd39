/**
 * The outside world of a real server.
 *
 * @module
 */

import { listen } from './http-server.ts'
import type { Io } from './io.ts'
import { pduCheckerWorkers } from './pdu-checker-workers.ts'
import { realClock } from './real-clock.ts'
import { realFiles } from './real-files.ts'
import { type LogLevel, realLog } from './real-log.ts'
import { realMachine } from './real-machine.ts'
import { type RealNetworkOptions, realNetwork } from './real-network.ts'
import { realRandom } from './real-random.ts'
import { thumbnailerChild } from './thumbnailer-child.ts'

export interface RealIoOptions extends RealNetworkOptions {
  readonly log: { readonly level: LogLevel; readonly format: 'json' | 'text' }
}

export function realIo(options: RealIoOptions): Io {
  const { dns, httpClient, outboundHttpClient } = realNetwork(options)
  return {
    clock: realClock,
    random: realRandom,
    httpClient,
    outboundHttpClient,
    listen,
    dns,
    files: realFiles,
    log: realLog(options.log),
    machine: realMachine(),
    pduChecker: pduCheckerWorkers(realClock),
    thumbnailer: thumbnailerChild(),
  }
}
