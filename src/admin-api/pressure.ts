/**
 * Tells administrators how much there is to do.
 *
 * @module
 */

import { getPressure } from '#endpoints/admin/pressure.ts'
import { answer, type Route } from '#http/endpoint.ts'
import type { Server } from '#server.ts'

type Needs = Pick<Server, 'pressure'>

export const pressureRoutes: readonly Route<Needs>[] = [
  answer(getPressure, async (_, { pressure }) => {
    const state = pressure.state()
    return {
      lag_ms: Math.round(state.lagMs),
      busy_percent: Math.round(100 * state.busy),
      memory_percent: Math.round(100 * state.memoryShare),
      ...(state.freeBytes !== undefined && { disk_free_bytes: state.freeBytes }),
      disk: state.disk,
      shed: [...state.shed],
      refuses_connections: state.refusesConnections,
    }
  }),
]
