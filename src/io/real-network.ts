/**
 * The network of a real server: names, requests, and a look at certificates.
 *
 * @module
 */

import { getServers } from 'node:dns'
import type { Dns } from './dns.ts'
import { createDnsClient } from './dns-client.ts'
import { createExamineTls } from './examine-tls.ts'
import { hostsFile } from './hosts-file.ts'
import type { HttpClient } from './http.ts'
import { createHttpClient } from './http-client.ts'
import { realClock } from './real-clock.ts'
import { realRandom } from './real-random.ts'
import type { ExamineTls } from './tls-examination.ts'

export interface RealNetworkOptions {
  /** PEM texts of authorities to trust beside the system's. */
  readonly ca: readonly string[]
  /** Whether addresses may be dialled that are not of the public internet. */
  readonly allowPrivateIps: boolean
  /** The same for requests to others than homeservers; the public web where it is not said. */
  readonly outbound?: {
    readonly ca: readonly string[]
    readonly verifyTls: boolean
    readonly allowPrivateIps: boolean
  }
}

export interface RealNetwork {
  readonly dns: Dns
  readonly httpClient: HttpClient
  readonly outboundHttpClient: HttpClient
  readonly examineTls: ExamineTls
}

export function realNetwork(options: RealNetworkOptions): RealNetwork {
  const dns = createDnsClient({
    servers: getServers(),
    random: realRandom,
    hosts: hostsFile('/etc/hosts', realClock.monotonicMs),
  })
  return {
    dns,
    httpClient: createHttpClient({ dns, ...options }),
    outboundHttpClient: createHttpClient({ dns, ...options.outbound }),
    examineTls: createExamineTls({ dns, ...options }),
  }
}
