/**
 * What is served where: the routes of each listener, and who is let in to them.
 *
 * @module
 */

import { adminRoutes } from '#admin-api/routes.ts'
import { explainFailure } from '#client-api/explain-failure.ts'
import { clientRateLimits } from '#client-api/rate-limits.ts'
import { clientRoutes, mediaRoutes } from '#client-api/routes.ts'
import type { Config } from '#config/settings.ts'
import { sendTransaction } from '#endpoints/server-server/transactions.ts'
import { claimedOrigin } from '#federation/authenticate-request.ts'
import type { Federation } from '#federation/federation.ts'
import { mediaRoutes as mediaRoutesForServers } from '#federation-api/content-repository.ts'
import { directoryRoutes } from '#federation-api/directory-routes.ts'
import { keyRoutes } from '#federation-api/key-routes.ts'
import { serverRateLimits } from '#federation-api/rate-limits.ts'
import { roomRoutes } from '#federation-api/room-routes.ts'
import type { Route } from '#http/endpoint.ts'
import { createRateLimiter } from '#http/rate-limit.ts'
import { type Shell, serve } from '#http/serve.ts'
import { createServerEntrance } from '#http/server-entrance.ts'
import type { Listening } from '#io/http.ts'
import type { Io } from '#io/io.ts'
import { blockedRooms } from './blocked-rooms.ts'
import { explainFullDisk } from './full-disk.ts'
import type { Server } from './server.ts'

/** What is served under each name of `listeners.apis`. */
export const routesOf: Readonly<Record<string, readonly Route<Server>[]>> = {
  client: clientRoutes,
  federation: [...keyRoutes, ...roomRoutes, ...directoryRoutes, ...mediaRoutesForServers],
  media: mediaRoutes,
  admin: adminRoutes,
}

/** Routes of several names together, by the names: there are few of them, whatever a configuration says. */
const routesTogether = new Map<string, readonly Route<Server>[]>()

/** What is served under some names; the same list for the same names, so that it needs one router. */
function routesUnder(apis: readonly string[]): readonly Route<Server>[] {
  return routesTogether.getOrInsertComputed(apis.join(), () =>
    apis.flatMap((api) => routesOf[api] ?? []),
  )
}

interface Around {
  readonly io: Io
  /** Whether each answer is checked against its schema, which tests want. */
  readonly checkAnswers?: boolean
}

/** Listens as the configuration says. */
export async function listenAll(
  config: Config,
  around: Around,
  { server, federation }: { readonly server: Server; readonly federation: Federation },
): Promise<{ socket: Listening; url: string; apis: readonly string[] }[]> {
  const shell = shellOf(config, around, { server, federation })
  const sockets = []
  for (const { host, port, tls, apis, trusted_proxies: proxies } of config.listeners) {
    const served = apis.filter((api) => api !== 'federation' || config.federation.enabled)
    const handler = serve(routesUnder(served), server, shell)
    const isForServers = served.every((api) => api === 'federation')
    const takesConnections = () => !isForServers || !server.pressure.refusesConnections
    const options = { host, port, proxies, takesConnections, ...(tls && { tls }) }
    const socket = await around.io.listen(options, handler)
    const shownHost = host.includes(':') ? `[${host}]` : host
    const url = `${tls ? 'https' : 'http'}://${shownHost}:${socket.port}`
    sockets.push({ socket, url, apis: served })
  }
  return sockets
}

function shellOf(
  config: Config,
  { io, checkAnswers = false }: Around,
  { server, federation }: { readonly server: Server; readonly federation: Federation },
): Shell {
  const { refusals, transactions } = server
  const limiter = createRateLimiter(io.clock, {
    ofClients: clientRateLimits,
    ofServers: serverRateLimits,
  })
  const limits = config.rate_limits ? limiter : undefined
  return {
    log: io.log,
    checkAnswers,
    admit: server.pressure.admit,
    admitRoom: blockedRooms(server.blocks),
    authenticateServer: federation.authenticateServer,
    isAdmin: async (userId) => (await server.users.accounts.account(userId))?.admin ?? false,
    authenticateUser: server.users.sessions.authenticate,
    explain: (error) => explainFullDisk(error) ?? explainFailure(error),
    enterServer: createServerEntrance({
      ...io,
      isLimited: config.rate_limits,
      refusals,
      claimedOrigin,
      refusalOf: (endpoint, origin, { txnId }) =>
        limits?.wouldRefuse(endpoint, origin) ??
        (endpoint === sendTransaction ? transactions.refusalOf(origin, txnId) : undefined),
    }),
    limitRate: (endpoint, requester) => {
      const refusal = limits?.take(endpoint, requester)
      return refusal && refusals.refuse(refusal)
    },
  }
}
