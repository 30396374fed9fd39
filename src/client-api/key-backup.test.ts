import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ClientWorld, clientWorld, textIn } from '../../test/client-world.ts'
import { forEachDatabase } from '../../test/databases.ts'
import { memoryImage, openSqlite } from '../storage/sqlite.ts'

const base = '/_matrix/client/v3/room_keys'
const roomA = '!harbour:hansa.test'
const roomB = '!sea:hansa.test'
const algorithm = 'm.megolm_backup.v1.curve25519-aes-sha2'
const auth_data = {
  public_key: 'hPQNcabIABgGnx3ACvjmMmiQHoeFfuLB17tzWp6Hw8I',
  signatures: { '@alice:hansa.test': { 'ed25519:PHONE': 'signature' } },
}

/** A key as clients back it up. */
const key = (more: object = {}) => ({
  first_message_index: 1,
  forwarded_count: 0,
  is_verified: false,
  session_data: { ephemeral: 'ephemeral', ciphertext: 'ciphertext', mac: 'mac' },
  ...more,
})

async function userOf(world: ClientWorld, name = 'alice') {
  const { token, userId } = await world.register(name)
  const ask = (method: string, path: string, body?: object) =>
    world.ask(method, `${base}${path}`, { token, body })
  const must = async (method: string, path: string, body?: object) => {
    const answer = await ask(method, path, body)
    assert.equal(answer.status, 200, `${method} ${path} ${JSON.stringify(answer.body)}`)
    return answer.body
  }
  const refused = async (method: string, path: string, body?: object) => {
    const { status, body: problem } = await ask(method, path, body)
    return [status, problem.errcode]
  }
  const create = async (more: object = {}) =>
    String((await must('POST', '/version', { algorithm, auth_data, ...more })).version)
  return { token, userId, ask, must, refused, create }
}

const of = (version: string, roomId = '', sessionId = '') =>
  [`/keys`, roomId, sessionId]
    .filter((part) => part !== '')
    .map((part, at) => (at === 0 ? part : encodeURIComponent(part)))
    .join('/')
    .concat(`?version=${version}`)

forEachDatabase('versions are made, described, changed and deleted', async (db, t) => {
  const { ask, must, refused, create } = await userOf(await clientWorld(t, { db }))
  assert.deepEqual(await refused('GET', '/version'), [404, 'M_NOT_FOUND'])
  const first = await create()
  const description = { algorithm, auth_data, count: 0, etag: '0', version: first }
  assert.deepEqual(await must('GET', '/version'), description)
  const more = { ...auth_data, 'org.example.more': [1, { a: null }] }
  const second = await create({ auth_data: more })
  assert.notEqual(second, first)
  const latest = { ...description, version: second, auth_data: more }
  assert.deepEqual(await must('GET', '/version'), latest)
  assert.deepEqual(await must('GET', `/version/${first}`), description)
  assert.deepEqual(
    await must('PUT', `/version/${first}`, { algorithm, auth_data: more, version: first }),
    {},
  )
  assert.deepEqual((await must('GET', `/version/${first}`)).auth_data, more)
  for (const [path, body, expected] of [
    [`/version/${first}`, { algorithm: 'another', auth_data }, [400, 'M_INVALID_PARAM']],
    [`/version/${first}`, { algorithm, auth_data, version: second }, [400, 'M_INVALID_PARAM']],
    [`/version/${first}`, { algorithm }, [400, 'M_MISSING_PARAM']],
    ['/version/99', { algorithm, auth_data }, [404, 'M_NOT_FOUND']],
  ] as const) {
    assert.deepEqual(await refused('PUT', path, body), expected)
  }
  assert.deepEqual(await must('DELETE', `/version/${second}`), {})
  // If the backup was previously deleted, the call should succeed.
  assert.deepEqual(await must('DELETE', `/version/${second}`), {})
  assert.deepEqual(await refused('GET', `/version/${second}`), [404, 'M_NOT_FOUND'])
  for (const never of ['99', 'x', '-1', '1.0', '01']) {
    assert.deepEqual(await refused('DELETE', `/version/${never}`), [404, 'M_NOT_FOUND'])
  }
  assert.equal((await must('GET', '/version')).version, first)
  // No version is given twice.
  const third = await create()
  assert.ok(![first, second].includes(third))
  assert.equal((await ask('GET', '/version')).body.version, third)
})

forEachDatabase('keys are stored and given by session, by room, and all of them', async (db, t) => {
  const world = await clientWorld(t, { db })
  const { must, refused, create } = await userOf(world)
  const other = await userOf(world, 'bob')
  const version = await create()
  await other.create()
  const slash = 'a/b+c=='
  assert.deepEqual(await must('PUT', of(version, roomA, 'one'), key()), { etag: '1', count: 1 })
  const sessions = { one: key(), [slash]: key({ first_message_index: 7 }), '\u{1f511}': key() }
  assert.deepEqual(await must('PUT', of(version, roomA), { sessions }), { etag: '2', count: 3 })
  const rooms = { [roomA]: { sessions }, [roomB]: { sessions: { two: key() } } }
  assert.deepEqual(await must('PUT', of(version), { rooms }), { etag: '3', count: 4 })
  assert.deepEqual(await must('GET', of(version, roomA, slash)), sessions[slash])
  assert.deepEqual(await must('GET', of(version, roomA)), { sessions })
  assert.deepEqual(await must('GET', of(version)), { rooms })
  const { count, etag } = await must('GET', '/version')
  assert.deepEqual([count, etag], [4, '3'])
  // What is not there.
  assert.deepEqual(await refused('GET', of(version, roomA, 'none')), [404, 'M_NOT_FOUND'])
  assert.deepEqual(await must('GET', of(version, '!none:hansa.test')), { sessions: {} })
  assert.deepEqual(await must('PUT', of(version), { rooms: {} }), { etag: '3', count: 4 })
  // Others have backups of their own.
  assert.deepEqual(await other.must('GET', of(version)), { rooms: {} })
  assert.deepEqual(await must('DELETE', of(version, roomA, slash)), { etag: '4', count: 3 })
  assert.deepEqual(await must('DELETE', of(version, roomA, slash)), { etag: '4', count: 3 })
  assert.deepEqual(await must('DELETE', of(version, roomA)), { etag: '5', count: 1 })
  assert.deepEqual(await must('DELETE', of(version)), { etag: '6', count: 0 })
  assert.deepEqual(await must('GET', of(version)), { rooms: {} })
})

const bad = key({ first_message_index: 5, forwarded_count: 5, session_data: { is: 'there' } })

for (const [name, better, held] of [
  [
    'verified beats not verified',
    { is_verified: true, first_message_index: 9, forwarded_count: 9 },
    {},
  ],
  ['an earlier message beats a later one', { first_message_index: 4, forwarded_count: 9 }, {}],
  ['fewer forwards beat more', { first_message_index: 5, forwarded_count: 4 }, {}],
  [
    'among verified ones, too',
    { is_verified: true, first_message_index: 4 },
    { is_verified: true },
  ],
] as const) {
  forEachDatabase(`of two keys for a session, the better one stays: ${name}`, async (db, t) => {
    const { must, create } = await userOf(await clientWorld(t, { db }))
    const worseKey = { ...bad, ...held }
    const betterKey = key({ ...better, session_data: { is: 'better' } })
    for (const [from, to] of [
      [worseKey, betterKey],
      [betterKey, worseKey],
    ]) {
      const version = await create()
      await must('PUT', of(version, roomA, 's'), from)
      const isReplaced = from === worseKey
      const expected = { etag: isReplaced ? '2' : '1', count: 1 }
      assert.deepEqual(await must('PUT', of(version, roomA, 's'), to), expected)
      assert.deepEqual(await must('GET', of(version, roomA, 's')), betterKey)
    }
  })
}

test('a key that is as good as the one that is there changes nothing', async (t) => {
  const { must, create } = await userOf(await clientWorld(t))
  const version = await create()
  await must('PUT', of(version, roomA, 's'), bad)
  const same = { ...bad, session_data: { is: 'another' } }
  assert.deepEqual(await must('PUT', of(version, roomA, 's'), same), { etag: '1', count: 1 })
  assert.deepEqual(await must('GET', of(version, roomA, 's')), bad)
})

forEachDatabase(
  'keys are written to the current version only, and read from any',
  async (db, t) => {
    const { ask, must, refused, create } = await userOf(await clientWorld(t, { db }))
    for (const [method, path, body] of [
      ['PUT', of('1', roomA, 's'), key()],
      ['PUT', of('1', roomA), { sessions: { s: key() } }],
      ['PUT', of('1'), { rooms: {} }],
      ['GET', of('1'), undefined],
      ['GET', of('1', roomA), undefined],
      ['GET', of('1', roomA, 's'), undefined],
      ['DELETE', of('1'), undefined],
    ] as const) {
      assert.deepEqual(await refused(method, path, body), [404, 'M_NOT_FOUND'])
    }
    const old = await create()
    await must('PUT', of(old, roomA, 's'), key())
    const current = await create()
    for (const [path, body] of [
      [of(old, roomA, 't'), key()],
      [of(old, roomA), { sessions: { t: key() } }],
      [of(old), { rooms: { [roomA]: { sessions: { t: key() } } } }],
      [of('99'), { rooms: {} }],
    ] as const) {
      const answer = await ask('PUT', path, body)
      const { errcode, current_version } = answer.body
      assert.deepEqual(
        [answer.status, errcode, current_version],
        [403, 'M_WRONG_ROOM_KEYS_VERSION', current],
      )
    }
    assert.deepEqual(await must('GET', of(old)), { rooms: { [roomA]: { sessions: { s: key() } } } })
    assert.deepEqual(await must('GET', of(current)), { rooms: {} })
    await must('DELETE', `/version/${old}`)
    assert.deepEqual(await refused('GET', of(old)), [404, 'M_NOT_FOUND'])
    const missing = await ask('GET', '/keys')
    assert.deepEqual([missing.status, missing.body.errcode], [400, 'M_MISSING_PARAM'])
  },
)

test('what is malformed or too large is refused, and nothing of it is kept', async (t) => {
  const { must, refused, create } = await userOf(await clientWorld(t))
  const version = await create()
  const { is_verified: _, ...incomplete } = key()
  const large = key({ session_data: { ciphertext: 'x'.repeat(33_000) } })
  assert.deepEqual(await refused('PUT', of(version, roomA, 's'), incomplete), [
    400,
    'M_MISSING_PARAM',
  ])
  const inOne = { rooms: { [roomA]: { sessions: { good: key(), s: incomplete } } } }
  assert.deepEqual(await refused('PUT', of(version), inOne), [400, 'M_BAD_JSON'])
  for (const [body, expected] of [
    [key({ first_message_index: '1' }), [400, 'M_BAD_JSON']],
    [key({ first_message_index: -1 }), [400, 'M_BAD_JSON']],
    [key({ forwarded_count: 1.5 }), [400, 'M_BAD_JSON']],
    [key({ session_data: 'x' }), [400, 'M_BAD_JSON']],
    [large, [413, 'M_TOO_LARGE']],
  ] as const) {
    assert.deepEqual(await refused('PUT', of(version, roomA, 's'), body), expected)
    const rooms = { [roomA]: { sessions: { good: key(), s: body } } }
    assert.deepEqual(await refused('PUT', of(version), { rooms }), expected)
  }
  for (const [rooms, expected] of [
    [{ nowhere: { sessions: {} } }, [400, 'M_INVALID_PARAM']],
    [{ [roomA]: { sessions: { ['s'.repeat(256)]: key() } } }, [400, 'M_INVALID_PARAM']],
    [{ [roomA]: { sessions: { '': key() } } }, [400, 'M_INVALID_PARAM']],
    [{ [roomA]: {} }, [400, 'M_BAD_JSON']],
  ] as const) {
    assert.deepEqual(await refused('PUT', of(version), { rooms }), expected)
  }
  const auth = { algorithm, auth_data: { public_key: 'x'.repeat(17_000) } }
  assert.deepEqual(await refused('POST', '/version', auth), [413, 'M_TOO_LARGE'])
  assert.deepEqual(await must('GET', of(version)), { rooms: {} })
  for (let count = 1; count < 100; count++) await create()
  const one = { algorithm, auth_data }
  assert.deepEqual(await refused('POST', '/version', one), [400, 'M_RESOURCE_LIMIT_EXCEEDED'])
})

test('what a client stored comes back number by number, field by field', async (t) => {
  const world = await clientWorld(t)
  const { token, create } = await userOf(world)
  const version = await create()
  const text =
    '{"first_message_index":0,"forwarded_count":0,"is_verified":true,' +
    '"org.example":[1.0,-0.50,12345678901234567890,"\\u0000\\ud83d\\ude00é"],' +
    '"session_data":{"__proto__":{"n":1e2},"ciphertext":"a\\/b+c=\\n"}}'
  const put = (path: string, sent: string) =>
    world.askText('PUT', `${base}${path}`, { token, text: sent })
  assert.equal((await put(of(version, roomA, 's'), text)).status, 200)
  const expected = text.replace('\\ud83d\\ude00', '\u{1f600}').replace('\\/', '/')
  for (const [path, answer] of [
    [of(version, roomA, 's'), expected],
    [of(version, roomA), `{"sessions":{"s":${expected}}}`],
    [of(version), `{"rooms":{"${roomA}":{"sessions":{"s":${expected}}}}}`],
  ] as const) {
    const got = await world.askText('GET', `${base}${path}`, { token, text: '' })
    assert.equal(got.text, answer)
  }
})

forEachDatabase('a backup of many rooms and sessions is given whole', async (db, t) => {
  const { must, create } = await userOf(await clientWorld(t, { db }))
  const version = await create()
  const rooms: Record<string, { sessions: Record<string, object> }> = {}
  for (let room = 0; room < 30; room++) {
    const sessions: Record<string, object> = {}
    for (let at = 0; at < 45; at++)
      sessions[`s${at}`] = key({ first_message_index: room * 45 + at })
    rooms[`!r${room}:hansa.test`] = { sessions }
  }
  assert.deepEqual(await must('PUT', of(version), { rooms }), { etag: '1', count: 1350 })
  assert.deepEqual(await must('GET', of(version)), { rooms })
  const sessions = Object.fromEntries(Array.from({ length: 1000 }, (_, at) => [`t${at}`, key()]))
  await must('PUT', of(version, roomA), { sessions })
  assert.deepEqual(await must('GET', of(version, roomA)), { sessions })
})

test('devices that store keys at the same time lose none, and count them all', async (t) => {
  const { must, create } = await userOf(await clientWorld(t))
  const version = await create()
  const puts = Array.from({ length: 50 }, (_, at) =>
    must('PUT', of(version, roomA), { sessions: { shared: key(), [`own${at}`]: key() } }),
  )
  const etags = (await Promise.all(puts)).map(({ etag }) => etag)
  assert.equal(new Set(etags).size, 50)
  assert.equal((await must('GET', '/version')).count, 51)
})

test('a key that was stored is there after a crash', async (t) => {
  const image = memoryImage()
  const db = await openSqlite({ image })
  const before = await userOf(await clientWorld(t, { db }))
  const version = await before.create()
  await before.must('PUT', of(version, roomA, 's'), key())
  db.crash()
  const again = await openSqlite({ image })
  t.after(() => again.close())
  const world = await clientWorld(t, { db: again, seed: 2 })
  const identifier = { type: 'm.id.user', user: 'alice' }
  const body = { type: 'm.login.password', identifier, password: 'secret' }
  const token = textIn(
    await world.ask('POST', '/_matrix/client/v3/login', { body }),
    'access_token',
  )
  const answer = await world.ask('GET', `${base}${of(version, roomA, 's')}`, { token })
  assert.deepEqual(answer.body, key())
})

test('backups end with an account that is erased', async (t) => {
  const world = await clientWorld(t)
  const { create, must, userId } = await userOf(world)
  const version = await create()
  await must('PUT', of(version, roomA, 's'), key())
  await world.users.deactivate(userId, { erase: true })
  const { keyBackups } = world.endToEnd
  await assert.rejects(keyBackups.describe(userId, version), { errcode: 'M_NOT_FOUND' })
})
