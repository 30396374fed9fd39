/**
 * What a client does about the keys of devices, as one that encrypts: it uploads its own, claims those of
 * others, and asks for the devices of others once, until `/sync` says that they have changed.
 *
 * What the keys are does not matter to servers: they are names here.
 *
 * @module
 */

import { canonicalJson } from '../../src/protocol/canonical-json.ts'
import type { JsonObject } from '../../src/protocol/json.ts'
import type { SimulatedClient } from './client.ts'
import type { Answer } from './client-calls.ts'

/** How many one-time keys are uploaded at a time. */
const uploadedAtOnce = 3
const algorithm = 'signed_curve25519'

/** A key that was given to somebody, or to nobody if its answer was lost. */
export interface ClaimedKey {
  /** Whose it is: user, device and key. */
  readonly name: string
  readonly by: string
}

export class ClientKeys {
  readonly #client: SimulatedClient
  /** By user: their devices as they were told, with nothing said of a change since then. */
  readonly #known = new Map<string, string>()
  /** What is being asked for, with nothing said of a change meanwhile. */
  readonly #asked = new Set<string>()
  #uploads = 0
  #devices: { readonly deviceId: string; readonly token: string }[] = []

  constructor(client: SimulatedClient) {
    this.#client = client
  }

  /** Uploads the keys of its device, the first time, and some one-time keys. */
  async upload(): Promise<void> {
    this.#uploads += 1
    const { deviceId } = this.#client
    const keys = Array.from({ length: uploadedAtOnce }, (_, index) => {
      const name = `${this.#uploads}x${index}`
      return [`${algorithm}:${name}`, this.#signed({ key: name }, deviceId)] as const
    })
    const device_keys = this.#uploads === 1 ? { device_keys: this.#deviceKeys(deviceId) } : {}
    const body = { ...device_keys, one_time_keys: Object.fromEntries(keys) }
    await this.#client.call('POST', '/v3/keys/upload', body)
  }

  /** Renames its device: what others are told of it. */
  async renameDevice(name: string): Promise<void> {
    const path = `/v3/devices/${encodeURIComponent(this.#client.deviceId)}`
    await this.#client.call('PUT', path, { display_name: name })
  }

  /** Logs in on another device, which has keys of its own. */
  async addDevice(): Promise<void> {
    const answer = await this.#client.call('POST', '/v3/login', this.#client.proof)
    const device = { deviceId: String(answer.device_id), token: String(answer.access_token) }
    this.#devices.push(device)
    const body = { device_keys: this.#deviceKeys(device.deviceId) }
    await this.#client.call('POST', '/v3/keys/upload', body, device.token)
  }

  /** Logs out on the oldest of those devices. */
  async removeDevice(): Promise<void> {
    const device = this.#devices.shift()
    if (device !== undefined) await this.#client.call('POST', '/v3/logout', {}, device.token)
  }

  /** Claims a key of another's device; none if there is none. */
  async claim(other: SimulatedClient): Promise<ClaimedKey[]> {
    const body = { one_time_keys: { [other.userId]: { [other.deviceId]: algorithm } } }
    const { one_time_keys = {} } = await this.#client.call('POST', '/v3/keys/claim', body)
    return Object.entries(one_time_keys as Given).flatMap(([userId, devices]) =>
      Object.entries(devices).flatMap(([deviceId, keys]) =>
        Object.keys(keys).map((key) => ({
          name: `${userId} ${deviceId} ${key}`,
          by: this.#client.userId,
        })),
      ),
    )
  }

  /** Asks for the devices of others, and keeps what it is told if it will be told of changes. */
  async query(others: readonly SimulatedClient[]): Promise<void> {
    const asked = others.map(({ userId }) => userId)
    for (const userId of asked) this.#asked.add(userId)
    const known = await this.devicesOf(asked)
    for (const [userId, devices] of known) {
      if (this.#asked.delete(userId) && this.#client.hasSynced) this.#known.set(userId, devices)
    }
  }

  /** What its server says of the devices of these users now; nothing of those whose servers are silent. */
  async devicesOf(userIds: readonly string[]): Promise<Map<string, string>> {
    const body = { device_keys: Object.fromEntries(userIds.map((userId) => [userId, []])) }
    const { device_keys = {} } = await this.#client.call('POST', '/v3/keys/query', body)
    const told = Object.entries(device_keys as Record<string, JsonObject>)
    return new Map(told.map(([userId, devices]) => [userId, canonicalJson(devices)]))
  }

  /** Takes what `/sync` says of the devices of others. */
  note({
    changed = [],
    left = [],
  }: {
    changed?: readonly string[]
    left?: readonly string[]
  }): void {
    for (const userId of [...changed, ...left]) {
      this.#known.delete(userId)
      this.#asked.delete(userId)
    }
  }

  /** What it holds to be true of a user's devices, without asking again. */
  known(userId: string): string | undefined {
    return this.#known.get(userId)
  }

  #deviceKeys(deviceId: string): Answer {
    const { userId } = this.#client
    const keys = { [`ed25519:${deviceId}`]: 'a', [`curve25519:${deviceId}`]: 'b' }
    const bare = { user_id: userId, device_id: deviceId, algorithms: [algorithm], keys }
    return this.#signed(bare, deviceId)
  }

  #signed(what: Answer, deviceId: string): Answer {
    return {
      ...what,
      signatures: { [this.#client.userId]: { [`ed25519:${deviceId}`]: 'of nobody' } },
    }
  }
}

type Given = Readonly<Record<string, Readonly<Record<string, object>>>>
