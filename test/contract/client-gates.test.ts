/**
 * What every operation of the client API has in common, for all of them: who may ask, with which
 * method, and that what is wrong in a request is refused with the code for it.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import type { Endpoint } from '../../src/http/endpoint.ts'
import type { TSchema } from '../../src/schema/schema.ts'
import { requestOf, type Values, valuesFor } from './client-requests.ts'
import { type Answered, type Ask, clientScene, type Scene } from './client-scene.ts'
import { keyOf, ourEndpoints, servedOperations } from './our-endpoints.ts'
import { wrongs, wrongTexts } from './sample.ts'

const served = await servedOperations()
const endpoints = (await ourEndpoints())
  .filter(({ api, endpoint }) => api === 'client-server' && served.has(keyOf(endpoint)))
  .map(({ endpoint }) => endpoint)
const forUsers = endpoints.filter(({ auth }) => auth === 'user' || auth === 'optional-user')

/** Asks for each operation, and gives a line for each answer that is not as expected. */
async function unexpected(
  scene: Scene,
  asked: readonly Endpoint[],
  {
    user,
    expected,
    ...how
  }: {
    readonly user: { readonly userId: string; readonly token?: string }
    readonly expected: (answer: Answered, endpoint: Endpoint) => string | undefined
  } & Ask,
): Promise<string[]> {
  const wrong: string[] = []
  for (const endpoint of asked) {
    const values = valuesFor(endpoint, scene.roomId, user.userId)
    const request = requestOf(endpoint, values)
    const answer = await scene.ask(request, { token: user.token, body: values.body, ...how })
    const problem = expected(answer, endpoint)
    if (problem !== undefined)
      wrong.push(`${request}: ${answer.status} ${JSON.stringify(answer.body)}`)
  }
  return wrong
}

const isRefused = (status: number, errcode: string) => (answer: Answered) =>
  answer.status === status && answer.body.errcode === errcode ? undefined : 'other'

test('without a token nothing is done that needs one', async (test) => {
  const scene = await clientScene(test)
  const user = { userId: scene.alice.userId }
  const needing = forUsers.filter(({ auth }) => auth === 'user')
  const expected = isRefused(401, 'M_MISSING_TOKEN')
  assert.deepEqual(await unexpected(scene, needing, { user, expected }), [])
})

test('a token that is none opens nothing, not even what is open to all', async (test) => {
  const scene = await clientScene(test)
  const user = { userId: scene.alice.userId }
  const { token } = scene.alice
  const expected = isRefused(401, 'M_UNKNOWN_TOKEN')
  for (const bad of ['', 'x', token.slice(0, -1), `${token}x`, token.toUpperCase(), `@${token}`]) {
    const headers = { authorization: `Bearer ${bad}` }
    assert.deepEqual(await unexpected(scene, forUsers, { user, expected, headers }), [], bad)
  }
})

test('a token in the query is as good as one in the header', async (test) => {
  const scene = await clientScene(test)
  const { userId, token } = scene.alice
  for (const endpoint of forUsers) {
    const values = valuesFor(endpoint, scene.roomId, userId)
    const query = { ...values.query, access_token: 'bad' }
    const bad = await scene.ask(requestOf(endpoint, { ...values, query }), { body: values.body })
    assert.equal(bad.body.errcode, 'M_UNKNOWN_TOKEN', keyOf(endpoint))
  }
  const good = await scene.ask(`GET /_matrix/client/v3/account/whoami?access_token=${token}`)
  assert.equal(good.body.user_id, userId)
})

/** What guests may do beyond the list of the spec, since clients are of no use without it. */
const alsoForGuests: Readonly<Record<string, string>> = {
  defineFilter: 'What `/sync` takes, which they may ask.',
  getFilter: 'The same.',
  getCapabilities: 'Clients ask before they show anything.',
  getVersions: 'Anybody may ask.',
  getConfig: 'About the files that they may read.',
  getConfigAuthed: 'The same.',
  getPublicRooms: 'Anybody may ask.',
  queryPublicRooms: 'The same, with a filter.',
  getRoomSummary: 'Anybody may ask of the rooms that guests can look into.',
  joinRoom: 'As joinRoomById, by an alias.',
  forgetRoom: 'What they have left.',
  getJoinedRooms: 'What `/sync` tells them.',
  getRelatingEvents: 'Reads what `/messages` gives.',
  getRelatingEventsWithRelType: 'The same.',
  getRelatingEventsWithRelTypeAndEventType: 'The same.',
  getThreadRoots: 'The same.',
  logout: 'Their own session.',
  logout_all: 'The same.',
}

const guestModule = '../shared/spec/client-server-api/modules/guest_access.md'
const skip = existsSync(guestModule) ? false : `the spec is not at ${guestModule}`

/** The operations that the spec lets guests ask for, as the ends of its links to them. */
function guestLinks(): Set<string> {
  const text = readFileSync(guestModule, 'utf8')
  return new Set(
    [...text.matchAll(/\(#((?:get|put|post|delete)_\w+)\)/g)].map(([, link]) => link ?? ''),
  )
}

function linkOf({ method, path }: Endpoint): string {
  return `${method}_${path.replaceAll(/\W|_/g, '')}`.toLowerCase()
}

test('guests may ask for what the spec lists, and little else', { skip }, async (test) => {
  const links = guestLinks()
  const listed = (one: Endpoint) => links.has(linkOf(one))
  assert.deepEqual(
    forUsers.filter(
      (one) => (one.guests === true) !== (listed(one) || one.operationId in alsoForGuests),
    ),
    [],
  )
  const scene = await clientScene(test)
  const closed = forUsers.filter((one) => !one.guests)
  const expected = isRefused(403, 'M_GUEST_ACCESS_FORBIDDEN')
  assert.deepEqual(await unexpected(scene, closed, { user: scene.guest, expected }), [])
  const open = forUsers.filter((one) => one.guests && !one.operationId.startsWith('logout'))
  const isLetIn = ({ status, body }: Answered) =>
    body.errcode !== 'M_GUEST_ACCESS_FORBIDDEN' && status !== 401 ? undefined : 'no'
  const allowed = await unexpected(scene, open, { user: scene.guest, expected: isLetIn })
  // Guest users may only modify their display name.
  assert.equal(allowed.length, 2)
  for (const line of allowed) assert.match(line, /^(?:PUT|DELETE) \S+\/profile\/\S+\/x: 403/)
  const named = `/_matrix/client/v3/profile/${encodeURIComponent(scene.guest.userId)}/displayname`
  const body = { displayname: 'Guest' }
  for (const request of [`PUT ${named}`, `DELETE ${named}`]) {
    assert.equal((await scene.ask(request, { token: scene.guest.token, body })).status, 200)
  }
})

test('a locked account can log out, and nothing else', async (test) => {
  const scene = await clientScene(test)
  const isSoft = ({ status, body }: Answered) =>
    status === 401 && body.errcode === 'M_USER_LOCKED' && body.soft_logout === true
      ? undefined
      : 'no'
  const others = forUsers.filter(({ evenIfLocked }) => !evenIfLocked)
  assert.equal(forUsers.length - others.length, 2)
  const { locked } = scene
  assert.deepEqual(await unexpected(scene, others, { user: locked, expected: isSoft }), [])
  for (const end of ['logout/all', 'logout']) {
    const again = await scene.ask(`POST /_matrix/client/v3/${end}`, {
      token: locked.token,
      body: {},
    })
    assert.equal(again.status, end === 'logout/all' ? 200 : 401, end)
  }
})

/** What the spec recommends to forbid to who is suspended, as far as that does not depend on the event. */
const forbiddenToSuspended = [
  'joinRoom',
  'joinRoomById',
  'knockRoom',
  'inviteUser',
  'setProfileField',
]
/** What it says that they should be let do. */
const allowedToSuspended = [
  ...[
    'login',
    'refresh',
    'sync',
    'getRoomEvents',
    'leaveRoom',
    'redactEvent',
    'logout',
    'logout_all',
  ],
  ...['sendToDevice', 'uploadKeys', 'uploadCrossSigningKeys', 'uploadCrossSigningSignatures'],
  ...['postRoomKeysVersion', 'putRoomKeys', 'putRoomKeysByRoomId', 'putRoomKeyBySessionId'],
  ...['deleteDevice', 'deleteDevices', 'deactivateAccount', 'getKeysChanges', 'queryKeys'],
]

test('a suspended account is refused what others would see', async (test) => {
  const scene = await clientScene(test)
  const refused = forUsers.filter(({ notIfSuspended }) => notIfSuspended)
  const ids = new Set(refused.map(({ operationId }) => operationId))
  assert.deepEqual(
    forbiddenToSuspended.filter((id) => !ids.has(id)),
    [],
  )
  const { suspended } = scene
  const expected = isRefused(403, 'M_USER_SUSPENDED')
  assert.deepEqual(await unexpected(scene, refused, { user: suspended, expected }), [])
  const allowed = endpoints.filter(({ operationId }) => allowedToSuspended.includes(operationId))
  assert.equal(allowed.length, allowedToSuspended.length)
  // What ends their session comes last.
  const inOrder = allowed.toSorted((a, b) => a.operationId.localeCompare(b.operationId))
  const isLetIn = ({ body }: Answered) => (body.errcode === 'M_USER_SUSPENDED' ? 'no' : undefined)
  const user = await scene.account('lodger')
  await scene.world.time.await(
    scene.server.running.server.users.accounts.setSuspended(user.userId, true),
  )
  assert.deepEqual(await unexpected(scene, inOrder, { user, expected: isLetIn }), [])
})

test('nobody does for another user what is theirs to do', async (test) => {
  const scene = await clientScene(test)
  const { bob } = scene
  const theirs = forUsers.filter(
    ({ path, operationId, method }) =>
      path.includes('{userId}') &&
      // Anybody may look at them, or complain about them.
      !['getPresence', 'reportUser'].includes(operationId) &&
      !(method === 'GET' && operationId.includes('Profile')),
  )
  assert.ok(theirs.length > 15)
  const wrong: string[] = []
  for (const endpoint of theirs) {
    const values = valuesFor(endpoint, scene.roomId, scene.alice.userId)
    const request = requestOf(endpoint, values)
    const { status, body } = await scene.ask(request, { token: bob.token, body: values.body })
    if (status !== 403 || body.errcode !== 'M_FORBIDDEN') {
      wrong.push(`${request}: ${status} ${JSON.stringify(body)}`)
    }
  }
  assert.deepEqual(wrong, [])
})

test('a method that an endpoint does not have is refused, and those it has are named', async (test) => {
  const scene = await clientScene(test)
  const byPath = Map.groupBy(endpoints, ({ path }) => path.replaceAll(/\{\w+\}/g, '{}'))
  for (const [path, [one, ...others]] of byPath) {
    assert.ok(one)
    const methods = [one, ...others].map(({ method }) => method)
    const target = requestOf(one, valuesFor(one, scene.roomId, scene.alice.userId)).split(' ')[1]
    for (const method of ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'HEAD']) {
      if (methods.some((known) => known === method)) continue
      const { status, headers, body } = await scene.ask(`${method} ${target}`, {
        token: scene.alice.token,
      })
      // A path with a parameter may be that of another operation, too.
      if (
        status !== 405 &&
        [...byPath.keys()].some((other) => other !== path && covers(other, String(target)))
      )
        continue
      assert.equal(status, 405, `${method} ${path}`)
      if (method !== 'HEAD') assert.equal(body.errcode, 'M_UNRECOGNIZED', `${method} ${path}`)
      const allowed = String(headers.allow).split(', ')
      for (const known of methods)
        assert.ok(allowed.includes(known), `${method} ${path}: ${allowed}`)
    }
  }
})

function covers(pattern: string, target: string): boolean {
  const [parts, given] = [pattern.split('/'), (target.split('?', 1)[0] ?? '').split('/')]
  return (
    parts.length === given.length && parts.every((part, at) => part === '{}' || part === given[at])
  )
}

const takesJson = endpoints.filter(
  ({ body, bodyIsStream, bodyIsBytes }) => body !== undefined && !bodyIsStream && !bodyIsBytes,
)

/** Who may ask for it: what is for administrators refuses others before it looks at what they send. */
const askerOf = (scene: Scene, { path }: Endpoint) =>
  path.includes('/admin/') ? scene.admin : scene.alice

test('a body that is no JSON, or no object, is refused', async (test) => {
  const scene = await clientScene(test)
  const bodies = [
    ['{', 'M_NOT_JSON'],
    ['{"a":1,}', 'M_NOT_JSON'],
    ["{'a':1}", 'M_NOT_JSON'],
    ['{"a":1,"a":1}', 'M_NOT_JSON'],
    [new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), 'M_NOT_JSON'],
    ['\u0000', 'M_NOT_JSON'],
    [`${'{"a":'.repeat(100)}1${'}'.repeat(100)}`, 'M_NOT_JSON'],
    ['[]', 'M_BAD_JSON'],
    ['"text"', 'M_BAD_JSON'],
    ['7', 'M_BAD_JSON'],
    ['null', 'M_BAD_JSON'],
  ] as const
  for (const [body, errcode] of bodies) {
    const expected = isRefused(400, errcode)
    const user = scene.alice
    assert.deepEqual(await unexpected(scene, takesJson, { user, expected, body }), [], String(body))
  }
})

test('a body that is larger than its operation takes is refused', async (test) => {
  const scene = await clientScene(test)
  const expected = isRefused(413, 'M_TOO_LARGE')
  for (const endpoint of takesJson) {
    const body = JSON.stringify({ a: 'x'.repeat(endpoint.bodyBytesMax ?? 65_536) })
    const user = scene.alice
    assert.deepEqual(await unexpected(scene, [endpoint], { user, expected, body }), [])
  }
})

test('each field that is missing or wrong is refused', async (test) => {
  const scene = await clientScene(test)
  const wrong: string[] = []
  let count = 0
  for (const endpoint of takesJson) {
    const user = askerOf(scene, endpoint)
    const values = valuesFor(endpoint, scene.roomId, user.userId)
    for (const { how, value, missing } of wrongs(endpoint.body as TSchema, scene.roomId)) {
      count += 1
      const body = JSON.stringify(value)
      const isTooLarge = Buffer.byteLength(body) > (endpoint.bodyBytesMax ?? 65_536)
      // What a parameter of the request lacks makes that malformed.
      const isMissing = missing && !how.includes('/')
      const errcode = isTooLarge ? 'M_TOO_LARGE' : isMissing ? 'M_MISSING_PARAM' : 'M_BAD_JSON'
      const answer = await scene.ask(requestOf(endpoint, values), { token: user.token, body })
      const found = `${answer.status} ${answer.body.errcode}`
      // A number that keeps its text is an object that has none of the fields.
      const isKept = endpoint.keepsNumbers && how.endsWith('a number')
      if (isKept && found === '400 M_MISSING_PARAM') continue
      if (found !== `${isTooLarge ? 413 : 400} ${errcode}`) {
        wrong.push(`${keyOf(endpoint)}: ${how}: ${found} ${answer.body.error}`)
      }
    }
  }
  assert.deepEqual(wrong, [])
  assert.ok(count > 1_000, `${count} requests`)
})

test('each part of a path or a query that is missing or wrong is refused', async (test) => {
  const scene = await clientScene(test)
  const wrong: string[] = []
  let count = 0
  for (const endpoint of endpoints) {
    const user = askerOf(scene, endpoint)
    const values = valuesFor(endpoint, scene.roomId, user.userId)
    const tried: [string, Values, string][] = []
    for (const [name, field] of Object.entries(endpoint.params ?? {})) {
      for (const [how, text] of wrongTexts(field, scene.roomId)) {
        if (text === '') continue
        const params = { ...values.params, [name]: text }
        tried.push([`${name}: ${how}`, { ...values, params }, 'M_INVALID_PARAM'])
      }
    }
    for (const [name, field] of Object.entries(endpoint.query ?? {})) {
      for (const [how, text] of wrongTexts(field, scene.roomId)) {
        const query = { ...values.query, [name]: text }
        tried.push([`${name}: ${how}`, { ...values, query }, 'M_INVALID_PARAM'])
      }
      if (!(name in values.query)) continue
      const { [name]: _, ...query } = values.query
      tried.push([`${name}: missing`, { ...values, query }, 'M_MISSING_PARAM'])
    }
    for (const [how, changed, errcode] of tried) {
      count += 1
      const { body } = values
      const answer = await scene.ask(requestOf(endpoint, changed), { token: user.token, body })
      const found = `${answer.status} ${answer.body.errcode}`
      if (found !== `400 ${errcode}`) wrong.push(`${keyOf(endpoint)}: ${how}: ${found}`)
    }
  }
  assert.deepEqual(wrong, [])
  assert.ok(count > 300, `${count} requests`)
})
