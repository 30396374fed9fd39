/**
 * Devices of users as Element has them: the library that it is made with, with its cryptography.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { mock } from 'node:test'
import {
  ClientEvent,
  createClient,
  EventType,
  type MatrixClient,
  type MatrixEvent,
  MatrixEventEvent,
  Preset,
  type Room,
  SyncState,
} from 'matrix-js-sdk'
import {
  type CryptoApi,
  CryptoEvent,
  type ShowSasCallbacks,
  VerificationPhase,
  type VerificationRequest,
  VerificationRequestEvent,
  type Verifier,
  VerifierEvent,
} from 'matrix-js-sdk/lib/crypto-api/index.js'
import { RustBackupManager } from 'matrix-js-sdk/lib/rust-crypto/backup.js'
import { SlidingSync } from 'matrix-js-sdk/lib/sliding-sync.js'
import { Client } from '../rig/client.ts'

/** How long anything may take. */
const limitMs = 20_000

/** The library tells all that it does, and lets some seconds pass before it backs up keys. */
export function hurryLibrary(): void {
  assert.ok(Reflect.set(RustBackupManager, 'maxBackupLoopStartDelayMillis', 0))
  for (const level of ['debug', 'info', 'warn', 'error'] as const) {
    mock.method(console, level).mock.mockImplementation(() => {})
  }
}

/** By which of the two a device syncs. */
export type SyncKind = 'v3' | 'sliding'

/** A user, with what they carry from device to device: the password and the key of their secrets. */
export class CryptoUser {
  readonly baseUrl: string
  readonly name: string
  readonly sync: SyncKind
  recoveryKey: Uint8Array<ArrayBuffer> | undefined

  private constructor(baseUrl: string, name: string, sync: SyncKind) {
    this.baseUrl = baseUrl
    this.name = name
    this.sync = sync
  }

  /** Registers a user all of whose devices sync in one way. */
  static async register(
    baseUrl: string,
    { name, sync }: { readonly name: string; readonly sync: SyncKind },
  ): Promise<CryptoUser> {
    const client = await Client.register(baseUrl, name)
    await client.call('POST', '/v3/logout')
    return new CryptoUser(baseUrl, name, sync)
  }

  get password(): string {
    return `secret of ${this.name}`
  }

  /** Logs in on a new device, up to its first sync. */
  async device(): Promise<CryptoDevice> {
    const { baseUrl } = this
    const identifier = { type: 'm.id.user', user: this.name } as const
    const login = await createClient({ baseUrl }).loginRequest({
      type: 'm.login.password',
      identifier,
      password: this.password,
    })
    const client = createClient({
      baseUrl,
      accessToken: login.access_token,
      userId: login.user_id,
      deviceId: login.device_id,
      cryptoCallbacks: {
        getSecretStorageKey: async ({ keys }) => {
          const [keyId] = Object.keys(keys)
          return keyId === undefined || !this.recoveryKey ? null : [keyId, this.recoveryKey]
        },
      },
    })
    await client.initRustCrypto({ useIndexedDB: false })
    const synced = happens(client, ClientEvent.Sync, () => {
      return client.getSyncState() === SyncState.Syncing
    })
    await client.startClient({
      initialSyncLimit: 50,
      ...(this.sync === 'sliding' && { slidingSync: slidingSync(client) }),
    })
    await synced
    return new CryptoDevice(this, client)
  }
}

export class CryptoDevice {
  readonly user: CryptoUser
  readonly client: MatrixClient

  constructor(user: CryptoUser, client: MatrixClient) {
    this.user = user
    this.client = client
  }

  get crypto(): CryptoApi {
    return this.client.getCrypto() ?? assert.fail('there is no cryptography')
  }

  get userId(): string {
    return this.client.getSafeUserId()
  }

  get deviceId(): string {
    return this.client.getDeviceId() ?? assert.fail('there is no device')
  }

  stop(): void {
    this.client.stopClient()
  }

  /** Sets up cross-signing, secret storage and a backup, as at a first login. */
  async bootstrap(): Promise<void> {
    await this.crypto.bootstrapCrossSigning({
      // The first keys of a user need no proof.
      authUploadDeviceSigningKeys: async (upload) => {
        await upload(null)
      },
    })
    await this.crypto.bootstrapSecretStorage({
      createSecretStorageKey: async () => {
        const key = await this.crypto.createRecoveryKeyFromPassphrase()
        this.user.recoveryKey = key.privateKey
        return key
      },
      setupNewKeyBackup: true,
    })
    assert.equal(await this.crypto.isCrossSigningReady(), true)
    assert.equal(await this.crypto.isSecretStorageReady(), true)
  }

  /** Replaces the keys of the user by new ones. Who has some must prove who they are. */
  async replaceKeys(): Promise<void> {
    const { name, password } = this.user
    const identifier = { type: 'm.id.user', user: name } as const
    const refused: number[] = []
    await this.crypto.bootstrapCrossSigning({
      setupNewCrossSigning: true,
      authUploadDeviceSigningKeys: async (upload) => {
        let session = ''
        // The wrong password is refused in the same session in which the right one is taken.
        for (const given of [undefined, 'wrong', password]) {
          const proof = { type: 'm.login.password', identifier, password: given ?? '', session }
          try {
            await upload(given === undefined ? null : proof)
          } catch (error) {
            const { httpStatus, data } = error as { httpStatus: number; data: { session: string } }
            refused.push(httpStatus)
            session = data.session
          }
        }
      },
    })
    assert.deepEqual(refused, [401, 401])
  }

  /** Becomes one of the user's trusted devices by the key of their secrets. */
  async unlock(): Promise<void> {
    // A client asks for the key once these are there.
    await this.isKnown()
    await this.crypto.bootstrapCrossSigning({})
    await this.crypto.loadSessionBackupPrivateKeyFromSecretStorage()
    await this.crypto.checkKeyBackupAndEnable()
  }

  /** Makes a dehydrated device the user's, after reading what the one before it got. */
  async dehydrate(): Promise<void> {
    assert.equal(await this.crypto.isDehydrationSupported(), true)
    await this.crypto.startDehydration()
  }

  /** Waits until the keys of the device are on the server, and those of its user are known to it. */
  async isKnown(): Promise<void> {
    const { userId, deviceId } = this
    await this.becomes('the keys of the device and of its user are known', async () => {
      const { device_keys } = await this.client.downloadKeysForUsers([userId])
      const isUploaded = device_keys[userId]?.[deviceId] !== undefined
      return isUploaded && (await this.crypto.userHasCrossSigningKeys(userId, true))
    })
  }

  async createEncryptedRoom(invite: string[]): Promise<string> {
    const encryption = {
      type: EventType.RoomEncryption,
      state_key: '',
      content: { algorithm: 'm.megolm.v1.aes-sha2' },
    }
    const preset = Preset.TrustedPrivateChat
    const options = { preset, invite, is_direct: true, initial_state: [encryption] }
    return (await this.client.createRoom(options)).room_id
  }

  /** Waits until something is so in a room, and gives the room. */
  async until(roomId: string, isSo: (room: Room) => boolean): Promise<Room> {
    const look = () => {
      const room = this.client.getRoom(roomId)
      return room !== null && isSo(room) ? room : undefined
    }
    await happens(this.client, ClientEvent.Sync, () => look() !== undefined)
    return look() ?? assert.fail('it was so')
  }

  async send(roomId: string, body: string): Promise<void> {
    await this.becomes('the room is known to be encrypted', () => {
      return this.crypto.isEncryptionEnabledInRoom(roomId)
    })
    await this.client.sendTextMessage(roomId, body)
  }

  /** Waits until a message has been read, and makes sure that it was encrypted. */
  async reads(roomId: string, body: string): Promise<void> {
    const find = () => this.events(roomId).find((event) => event.getContent().body === body)
    await happens(this.client, [ClientEvent.Sync, MatrixEventEvent.Decrypted], async () => {
      // Who shows a room decrypts what is shown.
      for (const event of this.events(roomId)) await this.client.decryptEventIfNeeded(event)
      return find() !== undefined
    })
    assert.equal(find()?.getWireType(), EventType.RoomMessageEncrypted)
  }

  events(roomId: string): MatrixEvent[] {
    return this.client.getRoom(roomId)?.getLiveTimeline().getEvents() ?? []
  }

  /** Waits until something is so that the cryptography knows. */
  async becomes(what: string, isSo: () => Promise<boolean>): Promise<void> {
    const events = [
      ClientEvent.Sync,
      CryptoEvent.KeyBackupDecryptionKeyCached,
      CryptoEvent.DevicesUpdated,
      CryptoEvent.KeysChanged,
      CryptoEvent.UserTrustStatusChanged,
      CryptoEvent.KeyBackupStatus,
      CryptoEvent.KeyBackupSessionsRemaining,
    ]
    await happens(this.client, events, isSo, what)
  }

  /** Whether a device is signed by its user. */
  async isSignedByOwner(userId: string, deviceId: string): Promise<boolean> {
    await this.crypto.getUserDeviceInfo([userId], true)
    const status = await this.crypto.getDeviceVerificationStatus(userId, deviceId)
    return status?.signedByOwner ?? false
  }

  async hasVerified(userId: string): Promise<boolean> {
    return (await this.crypto.getUserVerificationStatus(userId)).isCrossSigningVerified()
  }
}

function slidingSync(client: MatrixClient): SlidingSync {
  const list = { ranges: [[0, 19]], timeline_limit: 50, required_state: [['*', '*']] }
  return new SlidingSync(client.baseUrl, new Map([['all', list]]), list, client, 5_000)
}

/** Two users compare emoji, as two people would who look at each other's screens. */
export async function verifyEachOther(
  first: CryptoDevice,
  second: CryptoDevice,
  roomId: string,
): Promise<void> {
  await verify(second, () => first.crypto.requestVerificationDM(second.userId, roomId))
}

/** A user compares emoji on two of their devices: the newer one asks the older one. */
export async function verifyOwnDevice(newer: CryptoDevice, older: CryptoDevice): Promise<void> {
  await verify(older, () => newer.crypto.requestOwnUserVerification())
}

async function verify(other: CryptoDevice, ask: () => Promise<VerificationRequest>): Promise<void> {
  const received = new Promise<VerificationRequest>((resolve) => {
    other.client.once(CryptoEvent.VerificationRequestReceived, resolve)
  })
  const asking = await ask()
  const asked = await received
  await asked.accept()
  await phaseOf(asking, VerificationPhase.Ready)
  const verifier = await asking.startVerification('m.sas.v1')
  await phaseOf(asked, VerificationPhase.Started)
  const answering = asked.verifier ?? assert.fail('the verification has not begun')
  const shown = Promise.all([sasOf(verifier), sasOf(answering)])
  const verified = Promise.all([verifier.verify(), answering.verify()])
  const [mine, theirs] = await Promise.race([shown, verified.then(() => assert.fail('too early'))])
  assert.deepEqual(mine.sas.emoji, theirs.sas.emoji)
  await Promise.all([mine.confirm(), theirs.confirm()])
  await verified
}

async function sasOf(verifier: Verifier): Promise<ShowSasCallbacks> {
  const shown = verifier.getShowSasCallbacks()
  if (shown !== null) return shown
  return await new Promise((resolve) => verifier.once(VerifierEvent.ShowSas, resolve))
}

async function phaseOf(request: VerificationRequest, phase: VerificationPhase): Promise<void> {
  await happens(request as never, VerificationRequestEvent.Change, () => request.phase >= phase)
}

interface Emitter {
  on(event: string, listener: () => void): unknown
  off(event: string, listener: () => void): unknown
}

/** Looks again after each of the events, until it is so. */
async function happens(
  emitter: Pick<Emitter, 'on' | 'off'> | MatrixClient,
  events: string | readonly string[],
  isSo: () => boolean | Promise<boolean>,
  what: string = String(isSo),
): Promise<void> {
  const source = emitter as Emitter
  const names = [events].flat()
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  let looking = Promise.resolve()
  const look = () => {
    looking = looking.then(async () => {
      if (await isSo()) resolve()
    })
    looking.catch(reject)
  }
  const timer = setTimeout(() => reject(new Error(`waited in vain: ${what}`)), limitMs)
  for (const name of names) source.on(name, look)
  try {
    look()
    await promise
  } finally {
    clearTimeout(timer)
    for (const name of names) source.off(name, look)
  }
}
