import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Json, JsonObject } from '#protocol/json.ts'
import { roomVersions } from '#protocol/room-version.ts'
import { draftOfTemplate } from './membership-template.ts'

const hash = 'A'.repeat(43)

/** What an honest resident gives for a join of @joiner:here. */
function honest(version: string): JsonObject {
  const inEvent = version === '1' || version === '2'
  const reference = (name: string): Json => {
    const id = inEvent ? `$${name}:there` : `$${name.padEnd(43, 'B')}`
    return inEvent ? [id, { sha256: hash }] : id
  }
  return {
    type: 'm.room.member',
    room_id: version === '12' ? `!${hash}` : '!room:there',
    sender: '@joiner:here',
    state_key: '@joiner:here',
    content: { membership: 'join', displayname: 'what the resident calls them' },
    depth: 12,
    prev_events: [reference('prev')],
    auth_events: [reference('power'), reference('rules')],
    origin: 'there',
    origin_server_ts: 1,
    unsigned: { spy: true },
  }
}

function check(
  version: string | undefined,
  event: JsonObject,
  membership: 'join' | 'leave' = 'join',
) {
  return draftOfTemplate(
    { roomVersion: version, event },
    {
      roomId: version === '12' ? `!${hash}` : '!room:there',
      userId: '@joiner:here',
      membership,
      content: { displayname: 'Joiner', join_authorised_via_users_server: '@mallory:here' },
    },
  )
}

for (const version of roomVersions.keys()) {
  test(`version ${version}: of an honest template only the place in the graph is taken`, () => {
    const made = check(version, honest(version))
    assert.ok(typeof made !== 'string')
    const { draft } = made
    assert.equal(made.version.id, version)
    assert.deepEqual(draft.content, { displayname: 'Joiner', membership: 'join' })
    assert.equal(draft.depth, 12)
    assert.equal(draft.sender, '@joiner:here')
    assert.deepEqual(Object.keys(draft).toSorted(), [
      'auth_events',
      'content',
      'depth',
      'prev_events',
      'room_id',
      'sender',
      'state_key',
      'type',
    ])
  })
}

test('a resident that names no version has a room of version 1', () => {
  const made = check(undefined, honest('1'))
  assert.ok(typeof made !== 'string')
  assert.equal(made.version.id, '1')
})

test('who authorises a join is taken from the template, for joins of versions that have it', () => {
  const content = { membership: 'join', join_authorised_via_users_server: '@admin:there' }
  for (const version of roomVersions.values()) {
    const made = check(version.id, { ...honest(version.id), content })
    assert.ok(typeof made !== 'string')
    const expected = version.restrictedJoins ? '@admin:there' : undefined
    assert.equal(made.draft.content.join_authorised_via_users_server, expected)
  }
  const leave = { ...honest('11'), content: { ...content, membership: 'leave' } }
  const made = check('11', leave, 'leave')
  assert.ok(typeof made !== 'string')
  assert.equal(made.draft.content.join_authorised_via_users_server, undefined)
})

const manyIds = (count: number) =>
  Array.from({ length: count }, (_, at) => `$${String(at).padStart(43, 'C')}`)

// What a hostile resident changes in a template of version 11, and what is said of it.
const hostile: [change: JsonObject, problem: string][] = [
  [{ type: 'm.room.power_levels' }, 'bad type'],
  [{ type: 'M.ROOM.MEMBER' }, 'bad type'],
  [{ type: null }, 'bad type'],
  [{ room_id: '!other:there' }, 'bad room_id'],
  [{ room_id: 7 }, 'bad room_id'],
  [{ sender: '@admin:here' }, 'bad sender'],
  [{ sender: ['@joiner:here'] }, 'bad sender'],
  [{ state_key: '@admin:here' }, 'bad state_key'],
  [{ state_key: '' }, 'bad state_key'],
  [{ content: { membership: 'ban' } }, 'bad membership'],
  [{ content: { membership: 'leave' } }, 'bad membership'],
  [{ content: {} }, 'bad membership'],
  [{ content: [] }, 'bad membership'],
  [{ content: null }, 'bad membership'],
  [{ prev_events: [] }, 'bad prev_events'],
  [{ prev_events: null }, 'bad prev_events'],
  [{ prev_events: {} }, 'bad prev_events'],
  [{ prev_events: '$a' }, 'bad prev_events'],
  [{ prev_events: manyIds(21) }, 'bad prev_events'],
  [{ prev_events: [...manyIds(1), ...manyIds(1)] }, 'bad prev_events'],
  [{ prev_events: [7] }, 'bad prev_events'],
  [{ prev_events: [['$a:there', { sha256: hash }]] }, 'bad prev_events'],
  [{ prev_events: ['$short'] }, 'bad prev_events'],
  [{ auth_events: [] }, 'bad auth_events'],
  [{ auth_events: null }, 'bad auth_events'],
  [{ auth_events: manyIds(11) }, 'bad auth_events'],
  [{ auth_events: [null] }, 'bad auth_events'],
  [{ depth: -1 }, 'bad depth'],
  [{ depth: 1.5 }, 'bad depth'],
  [{ depth: 2 ** 53 }, 'bad depth'],
  [{ depth: '7' }, 'bad depth'],
  [{ depth: null }, 'bad depth'],
  [{ depth: JSON.rawJSON('9007199254740993') }, 'bad depth'],
  [
    { content: { membership: 'join', join_authorised_via_users_server: 7 } },
    'bad join_authorised_via_users_server',
  ],
  [
    { content: { membership: 'join', join_authorised_via_users_server: 'admin' } },
    'bad join_authorised_via_users_server',
  ],
]

for (const [change, problem] of hostile) {
  test(`a template with ${JSON.stringify(change).slice(0, 80)} is refused`, () => {
    assert.equal(check('11', { ...honest('11'), ...change }), problem)
  })
}

test('a version that nobody knows is refused', () => {
  const problem = 'the room is of a version that we do not know'
  for (const version of ['0', '13', '', '__proto__', 'org.example.unstable']) {
    assert.equal(check(version, honest('11')), problem)
  }
})

test('versions 1 and 2 want hashes beside the event IDs', () => {
  for (const reference of [
    '$a:there',
    ['$a:there'],
    ['$a:there', { sha256: 'x' }],
    ['$a:there', { sha256: 7 }],
    ['$a:there', null],
  ]) {
    assert.equal(check('1', { ...honest('1'), prev_events: [reference] }), 'bad prev_events')
  }
})

test('a reference without its hash is taken as it is, since Synapse gives such ones', () => {
  const made = check('1', { ...honest('1'), auth_events: [['$a:there', {}]] })
  assert.ok(typeof made !== 'string', String(made))
  assert.deepEqual(made.draft.auth_events, [{ event_id: '$a:there' }])
})

test('a depth beyond what JavaScript counts is the deepest that it does, before version 6', () => {
  const depth = JSON.rawJSON('9223372036854775807')
  const made = check('5', { ...honest('5'), depth })
  assert.ok(typeof made !== 'string')
  assert.equal(made.draft.depth, Number.MAX_SAFE_INTEGER)
})
