/**
 * From a server name to where and how to reach that server.
 *
 * Three names are involved that need not be equal: the host that is dialled, the `Host` header, and
 * the name that the certificate must be for. DNS is not to be trusted, so the certificate is never
 * that of an SRV record's target, and a well-known file, which was fetched under the host's own
 * certificate, may hand the whole matter to another name.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#resolving-server-names
 *
 * @module
 */

import type { ServerName } from '#protocol/identifiers/ids.ts'
import { type ServerAddress, splitServerName } from '#protocol/identifiers/server-name.ts'
import type { TellStep } from './discovery-steps.ts'
import { createSrvTargets, type SrvNeeds } from './srv-targets.ts'
import { createWellKnown, type WellKnownNeeds } from './well-known.ts'

/** One way to reach a server, always by HTTPS. */
export interface Target {
  /** The name or address to dial, without brackets. */
  readonly hostname: string
  readonly port: number
  readonly hostHeader: string
  /** What the certificate must be for: a name or an address. */
  readonly tlsName: string
}

export interface Discovery {
  /**
   * The ways to reach a server, the one to try first first. Throws if there is none. `tell` hears each
   * step of the look-ups that are made; what is known from before is not looked up.
   */
  targets(server: ServerName, tell?: TellStep): Promise<readonly Target[]>
}

/** The port of federation where nobody says another. */
const defaultPort = 8448

export function createDiscovery(needs: WellKnownNeeds & SrvNeeds): Discovery {
  const wellKnown = createWellKnown(needs)
  const srv = createSrvTargets(needs)
  const targetsOf = async (
    name: string,
    address: ServerAddress,
    tell: TellStep | undefined,
  ): Promise<readonly Target[]> => {
    // If the hostname is an IP literal, then that IP address should be used, together with the given
    // port number, or 8448 if no port is given. If the hostname is not an IP literal, and the server
    // name includes an explicit port, resolve the hostname to an IP address.
    if (isDirect(address)) {
      tell?.({ step: 'direct', name })
      return [directTarget(name, address)]
    }
    // A server is found by resolving an SRV record. Requests are made to the resolved IP address and
    // port, with a `Host` header of <hostname>. The target server must present a valid certificate
    // for <hostname>.
    const { host } = address
    const found = await srv.targets(host, tell)
    if (found.length > 0) {
      return found.map((target) => ({ ...target, hostHeader: host, tlsName: host }))
    }
    // If no SRV record is found, an IP address is resolved using CNAME, AAAA or A records. Requests
    // are then made to the resolved IP address and a port of 8448.
    tell?.({ step: 'default-port', host, port: defaultPort })
    return [{ hostname: host, port: defaultPort, hostHeader: host, tlsName: host }]
  }
  return {
    async targets(server, tell) {
      const address = splitServerName(server)
      if (address === undefined) throw new Error(`${server} is no server name`)
      if (isDirect(address)) return await targetsOf(server, address, tell)
      // If the hostname is not an IP literal, a regular HTTPS request is made to
      // https://<hostname>/.well-known/matrix/server. If the response is invalid (bad JSON, missing
      // properties, non-200 response, etc), skip to step 4.
      const delegation = await wellKnown.delegation(address.host, tell)
      if (delegation === undefined) return await targetsOf(server, address, tell)
      return await targetsOf(delegation.name, delegation, tell)
    },
  }
}

/** Whether a name says by itself where to connect to. */
function isDirect({ kind, port }: ServerAddress): boolean {
  return kind !== 'dns' || port !== undefined
}

/**
 * The target server must present a valid certificate for the IP address, or for the hostname. The
 * `Host` header should be set to the server name, including the port if the server name included one.
 */
function directTarget(name: string, { host, port = defaultPort }: ServerAddress): Target {
  if (port < 1 || port > 65_535) throw new Error(`${name} has a port that cannot be`)
  return { hostname: host, port, hostHeader: name, tlsName: host }
}
