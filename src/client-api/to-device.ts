/**
 * Sends messages from device to device.
 *
 * @module
 */

import { sendToDevice } from '#endpoints/client-server/to-device.ts'
import { answer } from '#http/endpoint.ts'
import type { UserId } from '#protocol/identifiers/ids.ts'
import { parseUserId } from '#protocol/identifiers/user-id.ts'
import { memberSpans, type Span } from '#protocol/json-spans.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Server } from '#server.ts'
import type { DeviceContents } from '#users/direct-to-device.ts'

export const sendToDeviceRoute = answer(
  sendToDevice,
  async ({ session, params, rawBody }, { endToEnd }: Pick<Server, 'endToEnd'>) => {
    const { eventType: type, txnId } = params
    await endToEnd.toDevice.send(session, { type, txnId, messages: messagesIn(rawBody) })
    return {}
  },
)

/** The contents as the client wrote them. That they have the right form is known. */
function messagesIn(body: Uint8Array): Map<UserId, DeviceContents> {
  const messages = new Map<UserId, DeviceContents>()
  const inside = memberSpans(body)?.get('messages')
  for (const [text, ofUser] of memberSpans(body, inside) ?? []) {
    const userId = parseUserId(text)
    if (userId === undefined) {
      throw new MatrixError(400, 'M_INVALID_PARAM', `'${text.slice(0, 100)}' is no user ID.`)
    }
    messages.set(userId, contentsIn(body, ofUser))
  }
  return messages
}

function contentsIn(body: Uint8Array, ofUser: Span): DeviceContents {
  const contents = [...(memberSpans(body, ofUser) ?? [])]
  return new Map(
    contents.map(([deviceId, { start, end }]) => [
      deviceId,
      Buffer.from(body.subarray(start, end)).toString(),
    ]),
  )
}
