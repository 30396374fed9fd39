/**
 * A thread that checks PDUs, started by `pdu-checker-workers.ts`.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { parentPort } from 'node:worker_threads'
import { checkPdu, keysByServer, type VerifyKeys } from '../protocol/check-pdu.ts'
import type { ReferenceRule } from '../protocol/event-format.ts'
import { type RoomVersion, roomVersions } from '../protocol/room-version.ts'
import { isContentSigned } from '../protocol/signed-content.ts'
import {
  answerOf,
  type BatchMessage,
  type ChunkMessage,
  keysOf,
  type ToWorker,
  unpack,
} from './pdu-checker-messages.ts'

interface Batch {
  readonly version: RoomVersion
  readonly keys: VerifyKeys
  readonly references: ReferenceRule
}

const port = parentPort
assert.ok(port, 'this is the main file of a worker thread')

const batches = new Map<number, Batch>()

port.on('message', (message: ToWorker) => {
  if (message.kind === 'batch') batches.set(message.batch, batchOf(message))
  else if (message.kind === 'end') batches.delete(message.batch)
  else if (message.kind === 'content')
    port?.postMessage(isContentSigned(message.signed, message.content))
  else answer(message)
})

function batchOf(message: BatchMessage): Batch {
  const version = roomVersions.get(message.versionId)
  assert.ok(version, `room version ${message.versionId}`)
  return { version, keys: keysByServer(keysOf(message)), references: message.references }
}

function answer({ batch, pdus }: ChunkMessage): void {
  const known = batches.get(batch)
  assert.ok(known, `batch ${batch}`)
  const { version, keys, references } = known
  const checked = unpack(pdus).map((bytes) => checkPdu(version, bytes, keys, references))
  const answer = answerOf(checked)
  port?.postMessage(answer, [answer.pdus.bytes.buffer])
}
