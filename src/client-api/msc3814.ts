/**
 * Keeps and gives dehydrated devices.
 *
 * @module
 */

import {
  deleteDehydratedDevice,
  getDehydratedDevice,
  getDehydratedDeviceEvents,
  postDehydratedDeviceEvents,
  putDehydratedDevice,
} from '#endpoints/proposals/msc3814.ts'
import { answer } from '#http/endpoint.ts'
import { RawJson } from '#http/raw-json.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Server } from '#server.ts'
import type { DehydratedEvents } from '#users/end-to-end/dehydrated-devices.ts'

type Needs = Pick<Server, 'endToEnd'>

export const dehydratedDeviceRoutes = [
  answer(putDehydratedDevice, async ({ session, body }, { endToEnd }: Needs) => {
    const deviceId = body.device_id
    await endToEnd.dehydratedDevices.set(session.userId, {
      deviceId,
      displayName: body.initial_device_display_name,
      deviceData: body.device_data,
      keys: {
        deviceKeys: body.device_keys,
        oneTimeKeys: body.one_time_keys ?? {},
        fallbackKeys: body.fallback_keys ?? {},
      },
    })
    return { device_id: deviceId }
  }),
  answer(getDehydratedDevice, ({ session }, { endToEnd }: Needs) =>
    endToEnd.dehydratedDevices.get(session.userId),
  ),
  answer(deleteDehydratedDevice, async ({ session }, { endToEnd }: Needs) => ({
    device_id: await endToEnd.dehydratedDevices.delete(session.userId),
  })),
  answer(getDehydratedDeviceEvents, async ({ session, params, query }, { endToEnd }: Needs) => {
    const { deviceId } = params
    const from = readToken(query.from)
    const found = await endToEnd.dehydratedDevices.events(session.userId, deviceId, from)
    const events = eventsOf(found)
    return found.isLimited ? { events, next_batch: tokenOf(found) } : { events }
  }),
  answer(postDehydratedDeviceEvents, async ({ session, params, body }, { endToEnd }: Needs) => {
    const { deviceId } = params
    const from = readToken(body.next_batch)
    const found = await endToEnd.dehydratedDevices.events(session.userId, deviceId, from)
    return { events: eventsOf(found), next_batch: tokenOf(found) }
  }),
]

function eventsOf({ messages }: DehydratedEvents) {
  return messages.map(({ sender, type, content_json }) => ({
    sender,
    type,
    content: new RawJson(Buffer.from(content_json)),
  }))
}

function tokenOf({ upTo }: DehydratedEvents): string {
  return `d${upTo}`
}

function readToken(token: string | undefined): number {
  if (token === undefined) return 0
  const position = Number(token.slice(1))
  if (Number.isSafeInteger(position) && position >= 0 && token === `d${position}`) return position
  throw new MatrixError(400, 'M_INVALID_PARAM', 'This is no token of these events.')
}
