/**
 * The SDK that Element Web and most bots are made with, against a Hansa of its own: as its users
 * would, and without cryptography.
 *
 * Operations: login, getVersions, getPushRules, defineFilter, sync, createRoom, joinRoomById,
 * sendMessage, redactEvent, setProfileField, getUserProfile, setAccountData, setRoomTag, logout.
 *
 * Run it with `--test-force-exit`: the SDK leaves timers behind.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { type EventEmitter, once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { makeAuthority } from '../../src/io/certificates.ts'
import type { UserId } from '../../src/protocol/identifiers/ids.ts'
import { prepareHansa } from '../rig/hansa.ts'
import type { ServerProcess } from '../rig/processes.ts'

/** What we use of the SDK. */
interface Client extends EventEmitter {
  loginRequest(request: object): Promise<{ access_token: string; user_id: UserId }>
  startClient(options: object): Promise<void>
  stopClient(): void
  getSyncState(): string | null
  getRoom(roomId: string): Room | null
  setDisplayName(name: string): Promise<unknown>
  getProfileInfo(userId: UserId): Promise<{ displayname?: string }>
  createRoom(options: object): Promise<{ room_id: string }>
  joinRoom(roomId: string): Promise<unknown>
  sendTextMessage(roomId: string, body: string): Promise<{ event_id: string }>
  redactEvent(roomId: string, eventId: string): Promise<unknown>
  setAccountData(type: string, content: object): Promise<unknown>
  getAccountData(type: string): object | undefined
  setRoomTag(roomId: string, tag: string, metadata: object): Promise<unknown>
  logout(stop: boolean): Promise<unknown>
  whoami(): Promise<unknown>
}

interface Room {
  readonly name: string
  readonly tags: object
  getMember(userId: UserId): { readonly name: string; readonly membership: string } | null
  getLiveTimeline(): { getEvents(): { getContent(): { readonly body?: unknown } }[] }
}

interface Sdk {
  createClient(options: object): Client
}

// The name is a variable, so that the types are not asked for where the SDK is not installed.
const packageName = 'matrix-js-sdk'
const sdk: Sdk | undefined = await import(packageName).catch(() => undefined)
const skip = sdk === undefined ? `${packageName} is not installed` : false

let folder: string
let server: ServerProcess

before(async () => {
  if (skip) return
  folder = mkdtempSync(join(tmpdir(), 'hansa-sdk-'))
  const authority = await makeAuthority('test', Date.now())
  server = await prepareHansa({ folder, host: '127.0.0.1', authority })
  await server.start()
})

after(async () => {
  if (skip) return
  await server.end()
  rmSync(folder, { recursive: true, force: true })
})

test('two users meet in a room and write to each other', { skip }, async (t) => {
  const [alice, aliceId] = await loggedIn('alice')
  const [bob, bobId] = await loggedIn('bob')
  t.after(() => {
    alice.stopClient()
    bob.stopClient()
  })
  await alice.setDisplayName('Alice')
  const { room_id: roomId } = await alice.createRoom({
    name: 'The harbour',
    preset: 'public_chat',
  })
  await bob.joinRoom(roomId)
  await until(alice, () => alice.getRoom(roomId)?.getMember(bobId)?.membership === 'join')
  await until(bob, () => bob.getRoom(roomId)?.name === 'The harbour')
  assert.equal(bob.getRoom(roomId)?.getMember(aliceId)?.name, 'Alice')

  const sent = await alice.sendTextMessage(roomId, 'Ahoy')
  await until(bob, () => bodies(bob, roomId).includes('Ahoy'))
  await bob.sendTextMessage(roomId, 'Ahoy yourself')
  await until(alice, () => bodies(alice, roomId).includes('Ahoy yourself'))
  await alice.redactEvent(roomId, sent.event_id)
  await until(bob, () => !bodies(bob, roomId).includes('Ahoy'))

  await alice.setAccountData('org.example.a', { kept: 1 })
  await until(alice, () => alice.getAccountData('org.example.a') !== undefined)
  await alice.setRoomTag(roomId, 'm.favourite', { order: 0.5 })
  await until(alice, () => 'm.favourite' in (alice.getRoom(roomId)?.tags ?? {}))
  assert.equal((await bob.getProfileInfo(aliceId)).displayname, 'Alice')
  await bob.logout(true)
  await assert.rejects(bob.whoami(), { errcode: 'M_UNKNOWN_TOKEN' })
})

/** Registers a user and starts a client of theirs, up to the first sync. */
async function loggedIn(username: string): Promise<[Client, UserId]> {
  assert.ok(sdk)
  const { baseUrl } = server
  const auth = { type: 'm.login.dummy' }
  const made = await fetch(`${baseUrl}/_matrix/client/v3/register`, {
    method: 'POST',
    body: JSON.stringify({ username, password: 'secret', auth, inhibit_login: true }),
  })
  assert.equal(made.status, 200)
  const { access_token: accessToken, user_id: userId } = await sdk
    .createClient({ baseUrl })
    .loginRequest({
      type: 'm.login.password',
      identifier: { type: 'm.id.user', user: username },
      password: 'secret',
    })
  const client = sdk.createClient({ baseUrl, accessToken, userId })
  await client.startClient({ initialSyncLimit: 10 })
  while (client.getSyncState() !== 'PREPARED' && client.getSyncState() !== 'SYNCING') {
    const [state] = await once(client, 'sync')
    assert.notEqual(state, 'ERROR')
  }
  return [client, userId]
}

/** Waits, sync by sync, until something is so. */
async function until(client: Client, isSo: () => boolean): Promise<void> {
  while (!isSo()) await once(client, 'sync', { signal: AbortSignal.timeout(10_000) })
}

/** The texts of a room's messages, as the client shows them. */
function bodies(client: Client, roomId: string): unknown[] {
  const events = client.getRoom(roomId)?.getLiveTimeline().getEvents() ?? []
  return events.map((event) => event.getContent().body)
}
