import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { UserId } from './identifiers/ids.ts'
import { inviteDecision } from './invite-permission.ts'
import type { JsonObject } from './json.ts'

const bob = '@bob:evil.org' as UserId

test('by whom a user wants to be invited', () => {
  const filters = (content: JsonObject) => ({ filters: content })
  const cases: [Parameters<typeof inviteDecision>[0] | object, string][] = [
    [{}, 'allow'],
    [{ permission: { default_action: 'block' } }, 'block'],
    [{ permission: { default_action: 'allow' } }, 'allow'],
    [{ permission: { default_action: ['block'] } }, 'allow'],
    [{ ignoredUsers: { ignored_users: { [bob]: {} } } }, 'ignore'],
    [{ ignoredUsers: { ignored_users: [bob] } }, 'allow'],
    [filters({ blocked_servers: ['*.org'] }), 'block'],
    [filters({ ignored_servers: ['evil.???'] }), 'ignore'],
    [filters({ blocked_servers: ['evil.org'], enabled: false }), 'allow'],
    [filters({ blocked_servers: ['*'], allowed_servers: ['evil.org'] }), 'allow'],
    [filters({ blocked_users: ['@*:evil.org'], allowed_servers: ['*'] }), 'block'],
    [filters({ allowed_users: [bob], blocked_users: [bob], blocked_servers: ['*'] }), 'allow'],
    [filters({ ignored_users: [bob], blocked_users: [bob] }), 'ignore'],
    [filters({ blocked_users: 'x', blocked_servers: [1, null] }), 'allow'],
    [{ ...filters({ allowed_users: [bob] }), permission: { default_action: 'block' } }, 'block'],
  ]
  const nothing = { ignoredUsers: undefined, permission: undefined, filters: undefined }
  for (const [wishes, expected] of cases) {
    assert.equal(inviteDecision({ ...nothing, ...wishes }, bob), expected, JSON.stringify(wishes))
  }
})
