/**
 * Messages from device to device: each is given exactly once to each device it is for.
 *
 * A message waits in the store until its device asks for what came after it, which says that it has
 * been received. Until then the same question has the same answer.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#send-to-device-messaging
 *
 * @module
 */

import type { EduReceiver, EduSender } from '#federation/edus.ts'
import type { Clock } from '#io/clock.ts'
import type { Log } from '#io/log.ts'
import type { Random } from '#io/random.ts'
import { serverNameOf } from '#protocol/identifiers/common-format.ts'
import type { ServerName, UserId } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import { type Database, UnitFailed, type Writer } from '#storage/database.ts'
import type { DeviceRef } from '#storage/device-keys.ts'
import { addToDeviceOutbox } from '#storage/device-outbox.ts'
import type { StreamRange } from '#storage/receipts.ts'
import type { Streams } from '#storage/streams.ts'
import {
  addReceivedToDevice,
  addToDeviceMessage,
  addToDeviceSend,
  deleteToDeviceMessages,
  deleteToDeviceSendsBefore,
  devicesWithMoreThan,
  forgetReceivedToDevice,
  hasToDeviceMessages,
  type ToDeviceMessage,
  toDeviceMessagesOf,
  trimToDeviceMessages,
} from '#storage/to-device.ts'
import {
  type DeviceContents,
  directToDeviceEdus,
  messageBytesMax,
  readDirectToDevice,
} from './direct-to-device.ts'

/** If there is a large queue, 100 messages is recommended as a reasonable limit of an answer. */
const messagesOfAnswerMax = 100
/** How much waits for a device that does not ask. What is older is of the least use to it. */
const waitingMax = 20_000
/** How often it is looked whether that is too much: once in so many messages for a user. */
const messagesBetweenTrims = 256
/** How long a device is kept from sending the same again, and how often old ones are deleted. */
const sendKeptMs = 7 * 24 * 3_600_000
const sendsBetweenDeletions = 1_000
/**
 * How long a message of another server is known again, of how many; and how often others are forgotten.
 * A server that lost our answer tries again within hours; Synapse within a week.
 */
const receiptKeptMs = 30 * 24 * 3_600_000
const receiptsKept = 100_000
const receiptsBetweenForgetting = 1_000

export interface ToDevice {
  /** Sends messages of one type, unless the device has done so under this transaction ID. */
  send(
    device: DeviceRef,
    request: {
      readonly type: string
      readonly txnId: string
      readonly messages: ReadonlyMap<UserId, DeviceContents>
    },
  ): Promise<void>
  /** What waits for a device in a part of the stream, and how far that reaches. */
  waiting(
    device: DeviceRef,
    range: StreamRange,
  ): Promise<{ readonly messages: readonly ToDeviceMessage[]; readonly upTo: number }>
  /** The device has all that was given up to a position. */
  acknowledge(device: DeviceRef, upTo: number): Promise<void>
  /** Takes an `m.direct_to_device` EDU, once. */
  readonly receive: EduReceiver
  /** Calls `listener` when there is something for a user. */
  onChange(listener: (userId: UserId, stream: number) => void): void
}

export interface ToDeviceNeeds {
  readonly db: Database
  readonly clock: Pick<Clock, 'now'>
  readonly log: Pick<Log, 'warn'>
  readonly streams: Pick<Streams, 'write'>
  readonly serverName: ServerName
  readonly random: Pick<Random, 'bytes'>
  readonly edus: Pick<EduSender, 'wake'>
}

export function createToDevice(needs: ToDeviceNeeds): ToDevice {
  const { db, serverName } = needs
  const listeners: ((userId: UserId, stream: number) => void)[] = []
  const boxes = new Mailboxes(needs, listeners)
  let sends = 0
  let receipts = 0
  return {
    send: async (device, { type, txnId, messages }) => {
      for (const content of [...messages.values()].flatMap((one) => [...one.values()])) {
        checkSize(content)
      }
      const now = needs.clock.now()
      sends += 1
      const deletesOld = sends % sendsBetweenDeletions === 1
      const away = messagesByServer(needs, messages)
      const edus = [...away].flatMap(([destination, ofServer]) =>
        directToDeviceEdus(needs.random, { sender: device.userId, type, messages: ofServer }).map(
          (edu_json, sub) => ({ destination, sub, edu_json }),
        ),
      )
      const alongside = (tx: Writer, stream: number) => {
        addToDeviceSend(tx, device, { type, txnId, now })
        if (deletesOld) deleteToDeviceSendsBefore(tx, now - sendKeptMs)
        for (const { destination, ...edu } of edus) {
          const row = { stream, kind: 'message', user_id: device.userId, ...edu } as const
          addToDeviceOutbox(tx, destination, row)
        }
      }
      const sent = { sender: device.userId, type, messages, alongside }
      await boxes.deliver(sent).catch(asDoneBefore)
      needs.edus.wake([...away.keys()])
    },
    receive: async (origin, content) => {
      const message = readDirectToDevice(origin, content)
      // Only local users are meant.
      const isForUs = message?.messages.keys().some((userId) => serverNameOf(userId) === serverName)
      if (message === undefined || !isForUs) return
      const now = needs.clock.now()
      receipts += 1
      const forgetsOld = receipts % receiptsBetweenForgetting === 0
      const alongside = (tx: Writer) => {
        addReceivedToDevice(tx, { origin, messageId: message.messageId, now })
        if (!forgetsOld) return
        forgetReceivedToDevice(tx, origin, { before: now - receiptKeptMs, keep: receiptsKept })
      }
      await boxes.deliver({ ...message, alongside }).catch(asDoneBefore)
    },
    waiting: async (device, { from, to }) => {
      const limit = messagesOfAnswerMax + 1
      const found = await toDeviceMessagesOf(db, device, { from, to, limit })
      const messages = found.slice(0, messagesOfAnswerMax)
      const last = messages.at(-1)
      const isAll = last === undefined || found.length === messages.length
      return { messages, upTo: isAll ? to : last.stream }
    },
    acknowledge: async (device, upTo) => {
      if (!(await hasToDeviceMessages(db, device, upTo))) return
      await db.write((tx) => deleteToDeviceMessages(tx, device, upTo))
    },
    onChange: (listener) => {
      listeners.push(listener)
    },
  }
}

interface Delivery {
  readonly sender: UserId
  readonly type: string
  readonly messages: ReadonlyMap<UserId, DeviceContents>
  readonly alongside: (tx: Writer, stream: number) => void
}

/** What waits for the devices of this server. */
class Mailboxes {
  readonly #needs: ToDeviceNeeds
  readonly #listeners: readonly ((userId: UserId, stream: number) => void)[]
  readonly #sinceTrim = new Map<UserId, number>()

  constructor(needs: ToDeviceNeeds, listeners: readonly ((userId: UserId, at: number) => void)[]) {
    this.#needs = needs
    this.#listeners = listeners
  }

  /** Puts messages where their devices find them, all of them in one commit. */
  async deliver({ sender, type, messages, alongside }: Delivery): Promise<void> {
    const { streams, serverName } = this.#needs
    const local = [...messages].filter(([userId]) => serverNameOf(userId) === serverName)
    const delivered: Promise<readonly { readonly user_id: UserId }[]>[] = []
    const stream = await streams.write(1, (tx, position) => {
      alongside(tx, position)
      for (const [userId, contents] of local) {
        for (const [deviceId, content_json] of namedFirst(contents)) {
          const message = { sender, type, content_json, stream: position }
          delivered.push(addToDeviceMessage(tx, { userId, deviceId }, message))
        }
      }
      return position
    })
    // Whoever sends can name users without end: nothing is told to, or remembered of, who is not here.
    const reached = new Set((await Promise.all(delivered)).flat().map(({ user_id }) => user_id))
    for (const userId of reached) {
      for (const listener of this.#listeners) listener(userId, stream)
      await this.#countAndTrim(userId)
    }
  }

  async #countAndTrim(userId: UserId): Promise<void> {
    const { db, log } = this.#needs
    const count = (this.#sinceTrim.get(userId) ?? 0) + 1
    this.#sinceTrim.set(userId, count % messagesBetweenTrims)
    if (count < messagesBetweenTrims) return
    this.#sinceTrim.delete(userId)
    const full = await devicesWithMoreThan(db, userId, waitingMax)
    if (full.length === 0) return
    log.warn('devices do not fetch their messages, the oldest of which are dropped', {
      user_id: userId,
      devices: full,
    })
    await db.write((tx) => {
      for (const deviceId of full) trimToDeviceMessages(tx, { userId, deviceId }, waitingMax)
    })
  }
}

/** Only one message can be sent to each device per transaction: what names it, rather than `*`. */
function namedFirst(contents: DeviceContents): (readonly [deviceId: string, content: string])[] {
  return [...contents].sort(([a], [b]) => Number(a === '*') - Number(b === '*'))
}

function checkSize(content: string): void {
  if (Buffer.byteLength(content) <= messageBytesMax) return
  const problem = `A message to a device may have at most ${messageBytesMax} bytes.`
  throw new MatrixError(413, 'M_TOO_LARGE', problem)
}

function messagesByServer(
  { serverName }: ToDeviceNeeds,
  messages: ReadonlyMap<UserId, DeviceContents>,
): Map<ServerName, [UserId, DeviceContents][]> {
  const byServer = Map.groupBy(messages, ([userId]) => serverNameOf(userId))
  byServer.delete(serverName)
  return byServer
}

function asDoneBefore(error: unknown): void {
  if (!(error instanceof UnitFailed) || error.kind !== 'unique') throw error
}
