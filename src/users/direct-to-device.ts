/**
 * Messages to devices as they go from server to server.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#send-to-device-messaging
 *
 * @module
 */

import type { Random } from '#io/random.ts'
import { encodeBase64 } from '#protocol/base64.ts'
import { tryCanonicalJson } from '#protocol/canonical-json.ts'
import { serverNameOf } from '#protocol/identifiers/common-format.ts'
import type { ServerName, UserId } from '#protocol/identifiers/ids.ts'
import { parseUserId } from '#protocol/identifiers/user-id.ts'
import { isJsonObject, type Json, type JsonObject } from '#protocol/json.ts'
import { readJson } from '#protocol/json-reader.ts'
import { MatrixError } from '#protocol/matrix-error.ts'

/** The contents of messages by device, or by `*` for all devices of the user. */
export type DeviceContents = ReadonlyMap<string, string>

/** One message of some type, to some devices. */
export interface DirectMessages {
  readonly sender: UserId
  readonly type: string
  readonly messages: Iterable<readonly [UserId, DeviceContents]>
}

/** The largest content of a message to one device. */
export const messageBytesMax = 65_536
/**
 * An EDU is filled up to this, if it holds more than one message: larger ones are refused by some
 * servers, which must not keep messages from each other.
 */
const eduBytesMax = 65_536

const typeLengthMax = 255
/** Arbitrary utf8 string, of maximum length 32 codepoints. More is taken, since it costs nothing. */
const messageIdLengthMax = 255
const deviceIdLengthMax = 255

/** The EDUs, as canonical JSON, in which messages are sent to one server. */
export function directToDeviceEdus(
  random: Pick<Random, 'bytes'>,
  { sender, type, messages }: DirectMessages,
): string[] {
  const parts: Map<UserId, Map<string, string>>[] = []
  let size = Number.POSITIVE_INFINITY
  for (const [userId, contents] of messages) {
    for (const [deviceId, content] of contents) {
      const bytes = userId.length + deviceId.length + Buffer.byteLength(content)
      if (size + bytes > eduBytesMax) {
        parts.push(new Map())
        size = 0
      }
      size += bytes
      parts
        .at(-1)
        ?.getOrInsertComputed(userId, () => new Map())
        .set(deviceId, content)
    }
  }
  return parts.map((part) => {
    const message_id = encodeBase64(random.bytes(18), 'base64url')
    const content = { sender, type, message_id, messages: asJson(part) }
    const edu = tryCanonicalJson({ content, edu_type: 'm.direct_to_device' })
    if (edu !== undefined) return edu
    throw new MatrixError(400, 'M_BAD_JSON', 'A message is nested too deeply.')
  })
}

function asJson(messages: ReadonlyMap<UserId, DeviceContents>): JsonObject {
  const users = [...messages].map(([userId, contents]) => {
    const devices = [...contents].map(([deviceId, content]) => [deviceId, parsed(content)] as const)
    return [userId, Object.fromEntries(devices)] as const
  })
  return Object.fromEntries(users)
}

/** What a client sent, which has been read before. Numbers keep the text that the client gave them. */
function parsed(content: string): Json {
  const read = readJson(Buffer.from(content), 'raw')
  return read.ok ? read.value : {}
}

/**
 * The messages that `origin` may send, its own users being their senders; `undefined` if there are
 * none. What is malformed in it is left out.
 */
export function readDirectToDevice(
  origin: ServerName,
  content: JsonObject,
):
  | {
      readonly sender: UserId
      readonly type: string
      readonly messageId: string
      readonly messages: Map<UserId, DeviceContents>
    }
  | undefined {
  const { type, message_id: messageId, messages } = content
  const sender = typeof content.sender === 'string' ? parseUserId(content.sender) : undefined
  if (sender === undefined || serverNameOf(sender) !== origin) return undefined
  if (!isText(type, typeLengthMax) || !isText(messageId, messageIdLengthMax)) return undefined
  if (!isJsonObject(messages)) return undefined
  const read = new Map<UserId, DeviceContents>()
  for (const [text, contents] of Object.entries(messages)) {
    const userId = parseUserId(text)
    if (userId !== undefined && isJsonObject(contents)) read.set(userId, readContents(contents))
  }
  return { sender, type, messageId, messages: read }
}

function readContents(contents: JsonObject): DeviceContents {
  const read = new Map<string, string>()
  for (const [deviceId, content] of Object.entries(contents)) {
    if (!isText(deviceId, deviceIdLengthMax) || !isJsonObject(content)) continue
    const text = tryCanonicalJson(content) ?? ''
    const isFit = text !== '' && Buffer.byteLength(text) <= messageBytesMax
    if (isFit) read.set(deviceId, text)
  }
  return read
}

function isText(value: Json | undefined, lengthMax: number): value is string {
  return (
    typeof value === 'string' && value !== '' && value.length <= lengthMax && !value.includes('\0')
  )
}
