/**
 * What discovery does on its way from a server name to an address, for people who ask why a server
 * is reached where it is, or not at all. Discovery reads none of it.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#resolving-server-names
 *
 * @module
 */

import type { SrvRecord } from '#io/dns.ts'

export type DiscoveryStep =
  /** The name is an address, or has a port: it says by itself where to connect to. */
  | { readonly step: 'direct'; readonly name: string }
  /** A well-known file was asked for: what came, where that leads, or why nothing came. */
  | {
      readonly step: 'well-known'
      readonly url: string
      readonly status?: number
      readonly redirect?: string
      readonly failure?: string
    }
  | { readonly step: 'delegated'; readonly host: string; readonly to: string }
  /** The host answered, but not with a delegation that can be used. */
  | { readonly step: 'not-delegated'; readonly host: string; readonly why: string }
  | { readonly step: 'srv'; readonly name: string; readonly records: readonly SrvRecord[] }
  /** Nobody says another port: the host itself, at the port of federation. */
  | { readonly step: 'default-port'; readonly host: string; readonly port: number }

export type TellStep = (step: DiscoveryStep) => void
