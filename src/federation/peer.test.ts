/**
 * Federation as a library, among whole servers on a network in memory.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { getEvent } from '#endpoints/server-server/events.ts'
import { getServerKey } from '#endpoints/server-server/keys-server.ts'
import { pduCheckerInPlace } from '#io/pdu-checker-in-place.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import { roomVersions } from '#protocol/room-version.ts'
import { FederationError } from '#rooms/remote-servers.ts'
import { FederationWorld } from '../../test/federation-world.ts'
import { newSigningKey } from './index.ts'
import { createPeer, type Peer, type PeerOptions } from './peer.ts'
import { authorizationOf } from './request-signing.ts'

const host = 'program.test'
const name = 'program.test:8448' as ServerName
const version = roomVersions.get('12')
assert(version)

/** A program that serves its keys, in a world of servers. */
async function programIn(world: FederationWorld, options: Partial<PeerOptions> = {}) {
  const clock = world.time.clock()
  const peer = createPeer(
    { serverName: name, signingKey: newSigningKey(), ...options },
    {
      clock,
      random: world.random.fork('program'),
      dns: world.network.dns(),
      httpClient: world.network.client(host, clock),
      pduChecker: pduCheckerInPlace(clock),
    },
  )
  world.network.name(host, host)
  const listening = { host, port: 8448, tls: { cert: host, key: 'k' } }
  await world.network.listen(host)(listening, async ({ target }) => {
    const known = target === '/_matrix/key/v2/server'
    const body = Buffer.from(JSON.stringify(known ? peer.ownKeys() : {}))
    return { status: known ? 200 : 404, headers: {}, body }
  })
  return peer
}

test('a program asks a server, which knows it by its key', async () => {
  const world = new FederationWorld()
  const [a] = await world.start('a')
  const peer = await programIn(world)
  const { json } = await world.await(peer.client.call(a.name, getServerKey, {}))
  assert.equal(json.server_name, a.name)
  // This one must be signed: the server answers only once it has the key.
  const params = { eventId: '$none' } as const
  const refused = await failure(world, peer.client.call(a.name, getEvent, { params }))
  assert.deepEqual([refused.kind, refused.status], ['refused', 404])
  assert.ok(world.requests.includes('a.test > program.test GET /_matrix/key/v2/server'))
})

test('a program resolves names and fetches keys', async () => {
  const world = new FederationWorld()
  const [a] = await world.start('a')
  const peer = await programIn(world)
  const [target] = await peer.discovery.targets(a.name)
  assert.deepEqual([target?.hostname, target?.port], ['a.test', 8448])
  const needs = [{ server: a.name, keyId: a.signer.keyId, at: world.time.clock().now() }]
  const ask = () => world.await(peer.keyring.verifyKeys(needs))
  assert.deepEqual(Buffer.from((await ask())[0]?.key ?? []), Buffer.from(a.signer.publicKey))
  const count = world.requests.length
  await ask()
  assert.equal(world.requests.length, count)
})

test('a program tells events that were signed from those that were not', async () => {
  const world = new FederationWorld()
  const [a] = await world.start('a')
  const peer = await programIn(world)
  const alice = a.user('alice')
  const roomId = await a.createRoom(alice, version)
  const eventId = await a.say(alice, roomId, 'hello')
  const stored = await a.rooms.event(roomId, eventId)
  assert(stored)
  const { bytes } = stored.pdu
  const changed = Buffer.from(Buffer.from(bytes).toString().replace('hello', 'howdy'))
  const forged = Buffer.from(Buffer.from(bytes).toString().replace('"depth":', '"depth":1'))
  const junk = Buffer.from('{"a":')
  const checked = await world.await(peer.checkPdus(version, [bytes, changed, forged, junk]))
  assert.deepEqual(
    checked.map((one) => one.ok && { redacted: one.redacted, id: one.pdu.event_id }),
    [
      { redacted: false, id: eventId },
      // The signature is over what redaction leaves, so this is the event without its content.
      { redacted: true, id: eventId },
      false,
      false,
    ],
  )
})

test('a program knows who sent a request', async () => {
  const world = new FederationWorld()
  const [a] = await world.start('a')
  const peer = await programIn(world)
  const target = '/_matrix/federation/v1/send/1'
  const body = Buffer.from('{"pdus":[]}')
  const authorization = authorizationOf(a.signer, {
    method: 'PUT',
    target,
    destination: name,
    content: body,
  })
  const sent = { method: 'PUT', target, headers: { authorization } }
  assert.equal(await world.await(peer.authenticate(sent, body)), a.name)
  const wrong: [string, Parameters<Peer['authenticate']>[0], Uint8Array][] = [
    ['another body', sent, Buffer.from('{"pdus":[1]}')],
    ['another path', { ...sent, target: `${target}2` }, body],
    ['no signature', { ...sent, headers: {} }, body],
    [
      'of nobody',
      { ...sent, headers: { authorization: authorization.replace('a.t', 'z.t') } },
      body,
    ],
  ]
  for (const [what, request, bytes] of wrong) {
    const refused = await world.await(
      peer.authenticate(request, bytes).then(
        () => undefined,
        (error: unknown) => error,
      ),
    )
    assert.ok(refused instanceof MatrixError && refused.status === 401, what)
  }
})

test('servers that do not answer, or lie, are errors of federation', async () => {
  const world = new FederationWorld()
  const [a, b] = await world.start('a', 'b')
  const peer = await programIn(world)
  b.stop()
  assert.equal(
    (await failure(world, peer.client.call(b.name, getServerKey, {}))).kind,
    'unreachable',
  )
  a.intercept = async () => []
  assert.equal(
    (await failure(world, peer.client.call(a.name, getServerKey, {}))).kind,
    'bad-answer',
  )
  // Nobody is left alone for having failed: whoever calls decides that.
  await b.restart()
  await world.await(peer.client.call(b.name, getServerKey, {}))
})

test('a name or a key that cannot be used is refused', async () => {
  const world = new FederationWorld()
  await assert.rejects(programIn(world, { serverName: 'a b' }), /a b is no server name/)
  await assert.rejects(programIn(world, { signingKey: 'rsa 1 x' }), /must be of the algorithm/)
  const zeros = `ed25519 1 ${Buffer.alloc(32).toString('base64')}`
  await assert.rejects(programIn(world, { signingKey: zeros }), /anybody can know/)
})

async function failure(
  world: FederationWorld,
  calling: Promise<unknown>,
): Promise<FederationError> {
  const error = await world.await(
    calling.then(
      () => undefined,
      (thrown: unknown) => thrown,
    ),
  )
  assert(error instanceof FederationError, String(error))
  return error
}
