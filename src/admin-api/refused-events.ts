/**
 * Shows administrators what other servers could not use.
 *
 * @module
 */

import { getRefusedEvents } from '#endpoints/admin/refused-events.ts'
import { answer, type Route } from '#http/endpoint.ts'
import type { Server } from '#server.ts'

type Needs = Pick<Server, 'outboxQuarantine'>

const eventsDefault = 100

export const refusedEventsRoute: Route<Needs> = answer(
  getRefusedEvents,
  async (
    { params: { destination }, query: { limit = eventsDefault } },
    { outboxQuarantine }: Needs,
  ) => {
    const rows = await outboxQuarantine.refused(destination, limit)
    const events = rows.map(({ destination: _, ...event }) => event)
    return { events }
  },
)
