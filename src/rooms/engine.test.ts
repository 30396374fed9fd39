import assert from 'node:assert/strict'
import { test } from 'node:test'
import { silentLog } from '#io/log.ts'
import { pduCheckerInPlace } from '#io/pdu-checker-in-place.ts'
import { realClock } from '#io/real-clock.ts'
import { realRandom } from '#io/real-random.ts'
import { signingKeyOf } from '#protocol/ed25519.ts'
import type { EventId, RoomId, ServerName, UserId } from '#protocol/identifiers/ids.ts'
import type { Pdu } from '#protocol/pdu.ts'
import { type RoomVersion, roomVersions } from '#protocol/room-version.ts'
import type { Database } from '#storage/database.ts'
import { openStreams } from '#storage/streams.ts'
import { testDisk } from '../../test/databases.ts'
import { createLocalRooms, type LocalRooms } from './create-engine.ts'
import type { Keyring, Signer } from './remote-servers.ts'

/** Servers that have each other's keys; what one commits is handed to the other by hand. */
class Servers {
  readonly keys = new Map<ServerName, Signer>()

  signer(name: string): Signer {
    const serverName = name as ServerName
    const seed = realRandom.bytes(32)
    const { publicKey, sign } = signingKeyOf(seed)
    const signer = { serverName, keyId: 'ed25519:1', publicKey, sign }
    this.keys.set(serverName, signer)
    return signer
  }

  keyring(): Keyring {
    return {
      verifyKeys: async (needs) =>
        needs.flatMap(({ server, keyId }) => {
          const signer = this.keys.get(server)
          return signer
            ? [{ server, keyId, key: signer.publicKey, validUntilTs: Number.MAX_SAFE_INTEGER }]
            : []
        }),
    }
  }
}

async function openRooms(db: Database, servers: Servers, signer: Signer): Promise<LocalRooms> {
  return await createLocalRooms({
    db,
    streams: await openStreams(db),
    clock: realClock,
    random: realRandom,
    log: silentLog,
    signer,
    keyring: servers.keyring(),
    pduChecker: pduCheckerInPlace(realClock),
  })
}

async function pair() {
  const servers = new Servers()
  const [a, b] = [servers.signer('a.test'), servers.signer('b.test')]
  const [diskA, diskB] = [testDisk(), testDisk()]
  const [dbA, dbB] = [await diskA.open(), await diskB.open()]
  return {
    servers,
    a: { signer: a, rooms: await openRooms(dbA, servers, a), disk: diskA },
    b: { signer: b, rooms: await openRooms(dbB, servers, b), disk: diskB },
  }
}

const alice: UserId = '@alice:a.test'
const bob: UserId = '@bob:b.test'

async function makeRoom(rooms: LocalRooms, version: RoomVersion): Promise<RoomId> {
  return await rooms.createRoom({
    creator: alice,
    version,
    createContent: {},
    joinContent: {},
    events: [
      {
        type: 'm.room.power_levels',
        state_key: '',
        content: version.privilegedCreators
          ? { users: { [bob]: 50 } }
          : { users: { [alice]: 100, [bob]: 50 } },
      },
      { type: 'm.room.join_rules', state_key: '', content: { join_rule: 'public' } },
    ],
  })
}

/** Bob's server joins through Alice's: what make_join, send_join and the import do, without HTTP. */
async function joinAcross(
  { a, b }: Awaited<ReturnType<typeof pair>>,
  roomId: RoomId,
  version: RoomVersion,
): Promise<Pdu> {
  const { signDraft } = await import('./build-event.ts')
  const { draft, verdict } = await a.rooms.engine.draft(roomId, {
    sender: bob,
    type: 'm.room.member',
    state_key: bob,
    content: { membership: 'join' },
  })
  assert.ok(verdict.allowed)
  const needs = { clock: realClock, random: realRandom, signer: b.signer }
  const event = signDraft(needs, version, draft)
  const state = (await a.rooms.currentState(roomId)) ?? assert.fail()
  const [outcome] = await a.rooms.engine.receive(roomId, [event], {
    origin: b.signer.serverName,
    mustBeAccepted: true,
  })
  assert.equal(outcome?.outcome, 'accepted')
  const pdus = await state.events()
  const imported = await b.rooms.engine.importRoom(
    { roomId, version, event, state: pdus, authChain: pdus },
    a.signer.serverName,
  )
  assert.deepEqual(imported, { allowed: true })
  return event
}

async function pduOf(rooms: LocalRooms, roomId: RoomId, eventId: EventId): Promise<Pdu> {
  return (await rooms.event(roomId, eventId))?.pdu ?? assert.fail()
}

async function idsOfState(rooms: LocalRooms, roomId: RoomId): Promise<string[]> {
  const state = (await rooms.currentState(roomId)) ?? assert.fail()
  return state
    .ids()
    .map(({ type, stateKey, eventId }) => `${type} ${stateKey} ${eventId}`)
    .sort()
}

for (const version of roomVersions.values()) {
  test(`version ${version.id}: two servers fork and agree again, also after a restart`, async () => {
    const world = await pair()
    const { a, b } = world
    const roomId = await makeRoom(a.rooms, version)
    await joinAcross(world, roomId, version)

    // Both change the topic without knowing of each other.
    const topic = { type: 'm.room.topic', state_key: '' }
    const byAlice = await a.rooms.send(roomId, { sender: alice, ...topic, content: { topic: 'a' } })
    const byBob = await b.rooms.send(roomId, { sender: bob, ...topic, content: { topic: 'b' } })
    const toB = await b.rooms.engine.takeIn(a.signer.serverName, [
      (await pduOf(a.rooms, roomId, byAlice)).bytes,
    ])
    assert.deepEqual([...toB.values()], [undefined])
    await a.rooms.engine.takeIn(b.signer.serverName, [(await pduOf(b.rooms, roomId, byBob)).bytes])
    await a.rooms.engine.settled()
    await b.rooms.engine.settled()
    assert.deepEqual(await idsOfState(a.rooms, roomId), await idsOfState(b.rooms, roomId))
    assert.equal((await a.rooms.engine.forwardExtremities(roomId)).length, 2)

    // The next event merges both.
    const merging = await a.rooms.send(roomId, {
      sender: alice,
      type: 'm.room.message',
      content: { body: 'merge' },
    })
    assert.deepEqual(await a.rooms.engine.forwardExtremities(roomId), [merging])

    const reopened = await openRooms(await a.disk.open(), world.servers, a.signer)
    assert.deepEqual(await idsOfState(reopened, roomId), await idsOfState(a.rooms, roomId))
    assert.deepEqual(await reopened.engine.forwardExtremities(roomId), [merging])
    const from = { stream: Number.MAX_SAFE_INTEGER, sub: 0 }
    const timeline = await reopened.timeline(roomId, { from, direction: 'backwards', limit: 50 })
    assert.deepEqual(
      timeline.map(({ pdu }) => pdu.type),
      [
        'm.room.message',
        'm.room.topic',
        'm.room.topic',
        'm.room.member',
        'm.room.join_rules',
        'm.room.power_levels',
        'm.room.member',
        'm.room.create',
      ],
    )
  })
}

test('an event that the current state forbids is soft-failed; one that its own past forbids is rejected', async () => {
  const version = roomVersions.get('11') ?? assert.fail()
  const world = await pair()
  const { a, b } = world
  const roomId = await makeRoom(a.rooms, version)
  await joinAcross(world, roomId, version)
  const late = await b.rooms.send(roomId, { sender: bob, type: 'm.room.message', content: {} })
  await a.rooms.send(roomId, {
    sender: alice,
    type: 'm.room.member',
    state_key: bob,
    content: { membership: 'ban' },
  })
  const [softFailed] = await a.rooms.engine.receive(roomId, [await pduOf(b.rooms, roomId, late)], {
    origin: b.signer.serverName,
  })
  assert.equal(softFailed?.outcome, 'soft_failed')
  assert.equal((await a.rooms.event(roomId, late))?.position, undefined)
  assert.equal((await a.rooms.membership(alice, roomId))?.membership, 'join')

  await assert.rejects(
    b.rooms.send(roomId, { sender: bob, type: 'm.room.power_levels', state_key: '', content: {} }),
    { errcode: 'M_FORBIDDEN' },
  )
})

test('a redaction takes the content away, in the store too', async () => {
  const version = roomVersions.get('12') ?? assert.fail()
  const { a } = await pair()
  const roomId = await makeRoom(a.rooms, version)
  const message = { type: 'm.room.message', content: { body: 'a secret of two words' } }
  const eventId = await a.rooms.send(roomId, { sender: alice, ...message })
  const redaction = await a.rooms.send(roomId, {
    sender: alice,
    type: 'm.room.redaction',
    content: {},
    redacts: eventId,
  })
  const stored = (await a.rooms.event(roomId, eventId)) ?? assert.fail()
  assert.deepEqual(stored.pdu.content, {})
  assert.equal(stored.redactedBy, redaction)
  const rows = await (await a.disk.open()).all<{ bytes: Uint8Array }>({
    texts: ['SELECT bytes FROM events'],
    values: [],
  })
  for (const { bytes } of rows) assert.ok(!Buffer.from(bytes).includes('secret'))
})
