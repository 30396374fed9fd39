/**
 * What comes of a request with a transaction ID that is made again: every operation that has one, by
 * who makes it again, and how.
 *
 * The scope of a transaction ID is a single device and a single HTTP endpoint.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#transaction-identifiers
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Answered, clientScene, type Scene } from './contract/client-scene.ts'

const encode = encodeURIComponent
const v3 = '/_matrix/client/v3'

interface Stage {
  readonly scene: Scene
  readonly room: string
  /** An event to be redacted. */
  readonly target: string
  /** Alice's session, with a refresh token, on the device `PHONE`. */
  readonly session: { readonly access: string; readonly refresh: string }
  /** Names the round: what it sends is like nothing else. */
  readonly round: string
}

interface Operation {
  /** Its path up to the transaction ID. */
  readonly request: (stage: Stage) => string
  /** What follows the transaction ID. */
  readonly rest?: string
  readonly body: (stage: Stage, text: string) => object
  /** How often what was sent is there. */
  readonly count: (stage: Stage) => Promise<number>
}

const occurrences = (answer: Answered, text: string) =>
  JSON.stringify(answer.body).split(`"${text}`).length - 1

/** How many of the room's newest events have a text that begins so. */
async function inRoom({ scene, room, round }: Stage): Promise<number> {
  const { token } = scene.alice
  const page = await scene.ask(`GET ${v3}/rooms/${room}/messages?dir=b&limit=100`, { token })
  return occurrences(page, round)
}

const operations: Readonly<Record<string, Operation>> = {
  'a message': {
    request: ({ room }) => `PUT ${v3}/rooms/${room}/send/m.room.message`,
    body: (_, body) => ({ msgtype: 'm.text', body }),
    count: inRoom,
  },
  'a redaction': {
    request: ({ room, target }) => `PUT ${v3}/rooms/${room}/redact/${encode(target)}`,
    body: (_, reason) => ({ reason }),
    // The event that was redacted has it in it, too, for its redaction is told with it.
    count: async (stage) => {
      const { scene, room, round } = stage
      const { token } = scene.alice
      const filter = encode(JSON.stringify({ types: ['m.room.redaction'] }))
      const target = `GET ${v3}/rooms/${room}/messages?dir=b&limit=100&filter=${filter}`
      return occurrences(await scene.ask(target, { token }), round)
    },
  },
  'a message for later': {
    request: ({ room }) => `PUT ${v3}/rooms/${room}/send/m.room.message`,
    rest: '?org.matrix.msc4140.delay=1000',
    body: (_, body) => ({ msgtype: 'm.text', body }),
    count: async (stage) => {
      await stage.scene.world.time.run(5_000)
      return await inRoom(stage)
    },
  },
  'a message to a device': {
    request: () => `PUT ${v3}/sendToDevice/test.text`,
    body: ({ scene }, text) => ({ messages: { [scene.bob.userId]: { '*': { text } } } }),
    count: async ({ scene, round }) => {
      const { token } = scene.bob
      return occurrences(await scene.ask(`GET ${v3}/sync?timeout=0`, { token }), round)
    },
  },
}

/** Makes a request, and then again; gives all that is answered. */
type Again = (
  stage: Stage,
  put: (request: { token?: string; txnId?: string; text?: string }) => Promise<Answered>,
) => Promise<readonly Answered[]>

async function login(scene: Scene, deviceId: string, more: object = {}): Promise<Answered> {
  const identifier = { type: 'm.id.user', user: 'alice' }
  const { password } = scene
  const body = { type: 'm.login.password', identifier, password, device_id: deviceId, ...more }
  return await scene.ask(`POST ${v3}/login`, { body })
}

/** How it is made again, and how often it is done then. */
const ways: readonly (readonly [way: string, times: number, again: Again])[] = [
  ['the same', 1, async (_, put) => [await put({}), await put({})]],
  ['with another content', 1, async (_, put) => [await put({}), await put({ text: ' other' })]],
  [
    'ten times at once',
    1,
    async (_, put) => await Promise.all(Array.from({ length: 10 }, () => put({}))),
  ],
  [
    'with another transaction ID',
    2,
    async (_, put) => [await put({}), await put({ txnId: 'other' })],
  ],
  [
    'with a token that was refreshed',
    1,
    async ({ scene, session }, put) => {
      const first = await put({})
      const body = { refresh_token: session.refresh }
      const { body: next } = await scene.ask(`POST ${v3}/refresh`, { body })
      return [first, await put({ token: String(next.access_token) })]
    },
  ],
  [
    'by the same device, logged in again',
    1,
    async ({ scene }, put) => {
      const first = await put({})
      const { body } = await login(scene, 'PHONE')
      return [first, await put({ token: String(body.access_token) })]
    },
  ],
  [
    'by another device',
    2,
    async ({ scene }, put) => {
      const first = await put({})
      const { body } = await login(scene, 'TABLET')
      return [first, await put({ token: String(body.access_token) })]
    },
  ],
  [
    'by another user',
    2,
    async ({ scene }, put) => [await put({}), await put({ token: scene.bob.token })],
  ],
  [
    'after a restart',
    1,
    async ({ scene: { server, world } }, put) => {
      const first = await put({})
      server.crash()
      await world.time.await(server.start())
      return [first, await put({})]
    },
  ],
  [
    'after an hour',
    1,
    async ({ scene, session }, put) => {
      const first = await put({})
      await scene.world.time.run(3_600_000)
      const { body } = await scene.ask(`POST ${v3}/refresh`, {
        body: { refresh_token: session.refresh },
      })
      return [first, await put({ token: String(body.access_token) })]
    },
  ],
]

async function stageFor(scene: Scene, name: string): Promise<Stage> {
  const { alice, bob } = scene
  const invite = [bob.userId]
  const power = { users_default: 100 }
  const made = await scene.ask(`POST ${v3}/createRoom`, {
    token: alice.token,
    body: {
      room_version: '11',
      preset: 'public_chat',
      invite,
      power_level_content_override: power,
    },
  })
  const room = encode(String(made.body.room_id))
  await scene.ask(`POST ${v3}/join/${room}`, { token: bob.token, body: {} })
  const sent = await scene.ask(`PUT ${v3}/rooms/${room}/send/m.room.message/target`, {
    token: alice.token,
    body: { msgtype: 'm.text', body: 'to be redacted' },
  })
  const { body } = await login(scene, 'PHONE', { refresh_token: true })
  return {
    scene,
    room,
    target: String(sent.body.event_id),
    session: { access: String(body.access_token), refresh: String(body.refresh_token) },
    round: name,
  }
}

for (const [name, { request, rest = '', body, count }] of Object.entries(operations)) {
  test(`${name} is sent once for each transaction of each device`, async (t) => {
    const scene = await clientScene(t)
    const wrong: string[] = []
    for (const [index, [way, times, again]] of ways.entries()) {
      const stage = await stageFor(scene, `round ${index}.`)
      const answers = await again(
        stage,
        ({ token = stage.session.access, txnId = 'txn', text = '' }) =>
          scene.ask(`${request(stage)}/${txnId}${index}${rest}`, {
            token,
            body: body(stage, `${stage.round}${text}`),
          }),
      )
      const failed = answers.filter(({ status }) => status !== 200)
      if (failed.length > 0) wrong.push(`${way}: ${JSON.stringify(failed[0]?.body)}`)
      // What is told of an event or a delay is the same as often as it was sent once.
      const told = new Set(answers.map((answer) => JSON.stringify(answer.body)))
      const isToldApart = name !== 'a message to a device'
      if (isToldApart && told.size !== times) wrong.push(`${way}: ${told.size} answers`)
      const found = await count(stage)
      if (found !== times) wrong.push(`${way}: sent ${found} times, not ${times}`)
    }
    assert.deepEqual(wrong, [])
  })
}

test('a transaction of one endpoint is none of another', async (t) => {
  const scene = await clientScene(t)
  const stage = await stageFor(scene, 'apart.')
  const { room, target, session } = stage
  const other = await stageFor(scene, 'apart.')
  const token = (await login(scene, 'PHONE')).body.access_token
  void session
  const sent = new Set<unknown>()
  const paths = [
    `rooms/${room}/send/m.room.message`,
    `rooms/${room}/send/m.room.other`,
    `rooms/${other.room}/send/m.room.message`,
    `rooms/${room}/redact/${encode(target)}`,
  ]
  for (const path of paths) {
    const body = { msgtype: 'm.text', body: 'apart.' }
    const answer = await scene.ask(`PUT ${v3}/${path}/same`, { token: String(token), body })
    sent.add(answer.body.event_id)
  }
  assert.equal(sent.size, paths.length)
})
