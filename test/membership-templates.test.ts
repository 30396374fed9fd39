/**
 * Templates for joins, leaves and knocks: who is given one, and how others are refused.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestServer } from './federation-world.ts'
import { federation, type Scene, scene, v11 } from './membership-world.ts'

// Who asks for which template, and what is answered.
const templates: [
  what: string,
  options: Parameters<TestServer['createRoom']>[2],
  ask: (scene: Scene) => string | Promise<string>,
  answer: string,
][] = [
  ['a join', {}, ({ roomId, bob }) => `make_join/${roomId}/${bob}?ver=10&ver=11`, '200'],
  [
    'a join by one that knows other versions',
    {},
    ({ roomId, bob }) => `make_join/${roomId}/${bob}?ver=1&ver=10`,
    '400 M_INCOMPATIBLE_ROOM_VERSION 11',
  ],
  [
    'a join by one that says no version',
    {},
    ({ roomId, bob }) => `make_join/${roomId}/${bob}`,
    '400 M_INCOMPATIBLE_ROOM_VERSION 11',
  ],
  [
    'a join of a user of another server',
    {},
    ({ roomId, carol }) => `make_join/${roomId}/${carol}?ver=11`,
    '403 M_FORBIDDEN',
  ],
  [
    'a join of an unknown room',
    {},
    ({ bob }) => `make_join/!nowhere:a.test:8448/${bob}?ver=11`,
    '404 M_NOT_FOUND',
  ],
  [
    'a join of a room for the invited',
    { joinRules: { join_rule: 'invite' } },
    ({ roomId, bob }) => `make_join/${roomId}/${bob}?ver=11`,
    '403 M_FORBIDDEN',
  ],
  [
    'a join of a banned user',
    {},
    async ({ a, alice, roomId, bob }) => {
      await a.setMembership(alice, roomId, bob, 'ban')
      return `make_join/${roomId}/${bob}?ver=11`
    },
    '403 M_FORBIDDEN',
  ],
  [
    'a leave of one who is not in',
    {},
    ({ roomId, bob }) => `make_leave/${roomId}/${bob}`,
    '403 M_FORBIDDEN',
  ],
  [
    'a knock',
    { joinRules: { join_rule: 'knock' } },
    ({ roomId, bob }) => `make_knock/${roomId}/${bob}?ver=11`,
    '200',
  ],
  [
    'a knock on a public room',
    {},
    ({ roomId, bob }) => `make_knock/${roomId}/${bob}?ver=11`,
    '403 M_FORBIDDEN',
  ],
  [
    'a knock by one that says no version',
    { joinRules: { join_rule: 'knock' } },
    ({ roomId, bob }) => `make_knock/${roomId}/${bob}`,
    '400 M_MISSING_PARAM',
  ],
  [
    'a join by a server that is shut out',
    {
      events: [
        { type: 'm.room.server_acl', state_key: '', content: { allow: ['*'], deny: ['B.TEST'] } },
      ],
    },
    ({ roomId, bob }) => `make_join/${roomId}/${bob}?ver=11`,
    '403 M_FORBIDDEN',
  ],
  [
    'a join that needs a room which is unknown here',
    {
      joinRules: {
        join_rule: 'restricted',
        allow: [{ type: 'm.room_membership', room_id: '!unknown:c.test' }],
      },
    },
    ({ roomId, bob }) => `make_join/${roomId}/${bob}?ver=11`,
    '400 M_UNABLE_TO_AUTHORISE_JOIN',
  ],
  [
    'a join with no conditions to fulfil',
    { joinRules: { join_rule: 'restricted', allow: [] } },
    ({ roomId, bob }) => `make_join/${roomId}/${bob}?ver=11`,
    '403 M_FORBIDDEN',
  ],
  [
    'a join with conditions nobody knows',
    {
      joinRules: {
        join_rule: 'restricted',
        allow: [{ type: 'org.example.x', room_id: '!a:b' }, 7, null],
      },
    },
    ({ roomId, bob }) => `make_join/${roomId}/${bob}?ver=11`,
    '403 M_FORBIDDEN',
  ],
]

for (const [what, options, ask, answer] of templates) {
  test(`a template for ${what}: ${answer}`, async () => {
    const it = await scene(v11, options)
    const [text = '', query] = (await ask(it)).split('?')
    const [operation = '', ...ids] = text.split('/')
    const target = federation(`v1/${operation}`, ...ids) + (query === undefined ? '' : `?${query}`)
    const { status, body } = await it.b.request(it.a, 'GET', target)
    const version = body.room_version === undefined || status === 200 ? '' : ` ${body.room_version}`
    assert.equal(status === 200 ? '200' : `${status} ${body.errcode}${version}`, answer)
  })
}
