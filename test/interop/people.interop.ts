/**
 * What people on two servers see of each other: who types, who has read what, who is there, which
 * devices and keys they have, and what one device says to another.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { encodeBase64 } from '../../src/protocol/base64.ts'
import { signingKeyOf } from '../../src/protocol/ed25519.ts'
import type { ServerName } from '../../src/protocol/identifiers/ids.ts'
import type { JsonObject } from '../../src/protocol/json.ts'
import { signJson } from '../../src/protocol/signatures.ts'
import { Client, type ClientEvent, type Json } from '../rig/client.ts'
import { Federation } from './federation.ts'
import { gives, inEachPair, type SyncAnswer, sees, twoInRoom } from './pairs.ts'
import { arrives } from './scenarios.ts'

const started = await Federation.start({ whole: true })

const encode = encodeURIComponent

/** The ephemeral events of a type that a sync shows in a room. */
function ephemeral(answer: SyncAnswer, roomId: string, type: string): readonly ClientEvent[] {
  const events = answer.rooms?.join?.[roomId]?.ephemeral?.events ?? []
  return events.filter((event) => event.type === type)
}

/** Keys of a device, made by hand, and signed by it. */
class HandMadeDevice {
  readonly client: Client
  readonly deviceId: string
  readonly #key = signingKeyOf(randomBytes(32))

  constructor(client: Client, deviceId: string) {
    this.client = client
    this.deviceId = deviceId
  }

  signed(object: JsonObject): JsonObject {
    const { userId } = this.client
    const signer = { serverName: userId as unknown as ServerName, sign: this.#key.sign }
    return signJson(object, { ...signer, keyId: `ed25519:${this.deviceId}` })
  }

  get identityKeys(): JsonObject {
    return this.signed({
      user_id: this.client.userId,
      device_id: this.deviceId,
      algorithms: ['m.olm.v1.curve25519-aes-sha2', 'm.megolm.v1.aes-sha2'],
      keys: {
        [`curve25519:${this.deviceId}`]: encodeBase64(randomBytes(32)),
        [`ed25519:${this.deviceId}`]: encodeBase64(this.#key.publicKey),
      },
    })
  }

  oneTimeKey(more: JsonObject = {}): JsonObject {
    return this.signed({ key: encodeBase64(randomBytes(32)), ...more })
  }

  async upload(keys: Json): Promise<void> {
    await this.client.call('POST', '/v3/keys/upload', keys)
  }
}

async function deviceOf(client: Client): Promise<HandMadeDevice> {
  return new HandMadeDevice(client, await client.deviceId())
}

/** The devices of somebody, as another one is told. */
async function devicesOf(asking: Client, userId: string): Promise<Record<string, Json>> {
  const answer = await asking.call('POST', '/v3/keys/query', { device_keys: { [userId]: [] } })
  const { device_keys } = answer as { device_keys: Record<string, Record<string, Json>> }
  return device_keys[userId] ?? {}
}

async function claim(asking: Client, device: HandMadeDevice): Promise<Json | undefined> {
  const { userId } = device.client
  const one_time_keys = { [userId]: { [device.deviceId]: 'signed_curve25519' } }
  const answer = await asking.call('POST', '/v3/keys/claim', { one_time_keys })
  const claimed = answer.one_time_keys as Record<string, Record<string, Json>>
  return claimed[userId]?.[device.deviceId]
}

inEachPair(started, {
  typing: async (pair) => {
    const { alice, bob, roomId } = await twoInRoom(pair)
    const typing = (isTyping: boolean) =>
      alice.call('PUT', `/v3/rooms/${encode(roomId)}/typing/${encode(alice.userId)}`, {
        typing: isTyping,
        ...(isTyping ? { timeout: 60_000 } : {}),
      })
    const typers = (answer: SyncAnswer) =>
      ephemeral(answer, roomId, 'm.typing').at(-1)?.content.user_ids as string[] | undefined
    await typing(true)
    await sees(bob, 'Alice type', (answer) => typers(answer)?.includes(alice.userId))
    await typing(false)
    await sees(bob, 'that she types no more', (answer) => typers(answer)?.length === 0)
  },

  'public, threaded and private receipts': async (pair) => {
    const { alice, bob, roomId } = await twoInRoom(pair)
    const [first, second, third] = [
      await bob.send(roomId, 'one'),
      await bob.send(roomId, 'two'),
      await bob.send(roomId, 'three'),
    ]
    const relation = { rel_type: 'm.thread', event_id: first }
    const inThread = await bob.send(roomId, {
      msgtype: 'm.text',
      body: 'aside',
      'm.relates_to': relation,
    })
    await arrives(alice, roomId, inThread)
    const read = (type: string, eventId: string, body: Json = {}) =>
      alice.call(
        'POST',
        `/v3/rooms/${encode(roomId)}/receipt/${encode(type)}/${encode(eventId)}`,
        body,
      )
    const seen = new Map<string, Json>()
    const until = (what: string, eventId: string, isIt: (receipt: Json) => boolean) =>
      sees(bob, what, (answer) => {
        for (const { content } of ephemeral(answer, roomId, 'm.receipt')) {
          for (const [id, of] of Object.entries(content)) {
            for (const [type, users] of Object.entries(of as Record<string, Record<string, Json>>))
              if (users[alice.userId]) seen.set(`${id} ${type}`, users[alice.userId] ?? {})
          }
        }
        const found = seen.get(`${eventId} m.read`)
        return found !== undefined && isIt(found)
      })
    await read('m.read', first)
    await until('a receipt', first, ({ ts }) => Math.abs(Date.now() - Number(ts)) < 600_000)
    await read('m.read.private', second)
    await read('m.read', inThread, { thread_id: first })
    await until('a threaded receipt', inThread, ({ thread_id }) => thread_id === first)
    await read('m.read', third, { thread_id: 'main' })
    await until('a receipt of the main timeline', third, ({ thread_id }) => thread_id === 'main')
    const told = [...seen.keys()]
    assert.ok(!told.some((key) => key.includes('private') || key.startsWith(second)), told.join())
  },

  presence: async (pair) => {
    const { alice, bob } = await twoInRoom(pair)
    const set = (presence: string, status_msg?: string) =>
      alice.call('PUT', `/v3/presence/${encode(alice.userId)}/status`, { presence, status_msg })
    const shown = (answer: SyncAnswer) =>
      answer.presence?.events?.findLast(({ sender }) => sender === alice.userId)?.content
    await set('online', 'in the harbour')
    await sees(bob, 'that Alice is there', (answer) => {
      const content = shown(answer)
      return content?.presence === 'online' && content.status_msg === 'in the harbour'
    })
    await set('unavailable', 'at sea')
    await sees(bob, 'that she is away', (answer) => {
      const content = shown(answer)
      return content?.presence === 'unavailable' && content.status_msg === 'at sea'
    })
  },

  'messages to devices': async (pair) => {
    const { alice, bob } = await twoInRoom(pair)
    const bobsDevice = await bob.deviceId()
    const other = new Client(bob.baseUrl, bob.userId, await login(bob))
    const otherDevice = await other.deviceId()
    const send = (transaction: string, devices: Json) =>
      alice.call('PUT', `/v3/sendToDevice/org.example.test/${transaction}`, {
        messages: { [bob.userId]: devices },
      })
    await send('t1', { [bobsDevice]: { text: 'for one' } })
    await send('t2', { [bobsDevice]: { text: 'for this' }, [otherDevice]: { text: 'for that' } })
    await send('t2', { [bobsDevice]: { text: 'the same again' } })
    await send('t3', { '*': { text: 'for all' } })
    for (const [client, expected] of [
      [bob, ['for one', 'for this', 'for all']],
      [other, ['for that', 'for all']],
    ] as const) {
      const got: unknown[] = []
      await sees(client, `${expected.length} messages`, ({ to_device }) => {
        for (const { type, sender, content } of to_device?.events ?? []) {
          if (type !== 'org.example.test') continue
          assert.equal(sender, alice.userId)
          got.push(content.text)
        }
        return got.length >= expected.length
      })
      assert.deepEqual(got, expected)
    }
  },

  'devices come, change and go': async (pair) => {
    const { alice, bob, roomId } = await twoInRoom(pair, {
      initial_state: [
        {
          type: 'm.room.encryption',
          state_key: '',
          content: { algorithm: 'm.megolm.v1.aes-sha2' },
        },
      ],
    })
    await bob.sync()
    const changed = (what: string) =>
      sees(bob, what, ({ device_lists }) => device_lists?.changed?.includes(alice.userId))
    const first = await deviceOf(alice)
    const keys = first.identityKeys
    await first.upload({ device_keys: keys })
    await changed('that Alice has keys')
    const told = (await devicesOf(bob, alice.userId))[first.deviceId]
    assert.deepEqual({ ...told, unsigned: undefined }, { ...keys, unsigned: undefined })
    // Her name for the device may be told or kept; what is told must be hers.
    await alice.call('PUT', `/v3/devices/${first.deviceId}`, { display_name: 'boat' })
    const second = await deviceOf(new Client(alice.baseUrl, alice.userId, await login(alice)))
    await second.upload({ device_keys: second.identityKeys })
    await gives('both devices are seen', async () => {
      const devices = await devicesOf(bob, alice.userId)
      return devices[first.deviceId] !== undefined && devices[second.deviceId] !== undefined
    })
    await bob.sync()
    await second.client.call('POST', '/v3/logout', {})
    await changed('that a device is gone')
    await gives('it is gone', async () => {
      const devices = await devicesOf(bob, alice.userId)
      return devices[first.deviceId] !== undefined && devices[second.deviceId] === undefined
    })
    await alice.leave(roomId)
    await sees(bob, 'that he shares no room with her', ({ device_lists }) =>
      device_lists?.left?.includes(alice.userId),
    )
  },

  'one-time keys are given once, then the fallback key': async (pair) => {
    const { alice, bob } = await twoInRoom(pair)
    const device = await deviceOf(alice)
    const [one, two] = [device.oneTimeKey(), device.oneTimeKey()]
    const fallback = device.oneTimeKey({ fallback: true })
    await device.upload({
      device_keys: device.identityKeys,
      one_time_keys: { 'signed_curve25519:AAAA': one, 'signed_curve25519:AAAB': two },
      fallback_keys: { 'signed_curve25519:AAAF': fallback },
    })
    const claimed: Json[] = []
    for (let count = 0; count < 4; count += 1) claimed.push((await claim(bob, device)) ?? {})
    const last = { 'signed_curve25519:AAAF': fallback }
    const firsts = claimed
      .slice(0, 2)
      .toSorted((a, b) => (Object.keys(a) < Object.keys(b) ? -1 : 1))
    assert.deepEqual(firsts, [{ 'signed_curve25519:AAAA': one }, { 'signed_curve25519:AAAB': two }])
    assert.deepEqual(claimed.slice(2), [last, last])
    // A device that does not exist has none.
    const nobody = new HandMadeDevice(alice, 'NOBODY')
    assert.equal(await claim(bob, nobody), undefined)
  },

  'profiles and what becomes of them in rooms': async (pair) => {
    const { alice, bob, roomId } = await twoInRoom(pair)
    const own = `/v3/profile/${encode(alice.userId)}`
    await alice.call('PUT', `${own}/displayname`, { displayname: 'Alice of the Sea' })
    const avatar_url = 'mxc://example.org/abc'
    await alice.call('PUT', `${own}/avatar_url`, { avatar_url })
    await gives('the profile is told', async () => {
      const profile = await bob.call('GET', own)
      return profile.displayname === 'Alice of the Sea' && profile.avatar_url === avatar_url
    })
    assert.deepEqual(await bob.call('GET', `${own}/displayname`), {
      displayname: 'Alice of the Sea',
    })
    await gives('the room shows it', async () => {
      const member = await bob.stateContent(roomId, 'm.room.member', alice.userId)
      return member.displayname === 'Alice of the Sea' && member.avatar_url === avatar_url
    })
    await alice.call('PUT', `${own}/m.tz`, { 'm.tz': 'Europe/Berlin' })
    assert.deepEqual(await bob.call('GET', `${own}/m.tz`), { 'm.tz': 'Europe/Berlin' })
    const nobody = `/v3/profile/${encode(alice.userId.replace('@', '@no'))}`
    await assert.rejects(bob.call('GET', nobody), /: 404 M_NOT_FOUND/)
  },

  'who has an OpenID token': async ({ federation, home, third }) => {
    const alice = await federation.user(home, 'alice')
    const path = `/v3/user/${encode(alice.userId)}/openid/request_token`
    const { access_token, matrix_server_name } = await alice.call('POST', path, {})
    assert.equal(matrix_server_name, home.process.serverName)
    const userinfo = '/_matrix/federation/v1/openid/userinfo?access_token='
    const { status, body } = await home.ask('GET', `${userinfo}${encode(String(access_token))}`)
    assert.deepEqual([status, body], [200, { sub: alice.userId }])
    for (const member of [home, third]) {
      const wrong = await member.ask('GET', `${userinfo}wrong`)
      assert.deepEqual([wrong.status, wrong.body.errcode], [401, 'M_UNKNOWN_TOKEN'])
    }
  },
})

/** A token of one more device of a user. */
async function login(client: Client): Promise<string> {
  const user = client.userId.slice(1).split(':')[0] ?? ''
  const answer = await client.call('POST', '/v3/login', {
    type: 'm.login.password',
    identifier: { type: 'm.id.user', user },
    password: `secret of ${user}`,
  })
  return String(answer.access_token)
}
