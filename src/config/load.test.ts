import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfigError, loadConfig } from './load.ts'

/** The problems of a configuration, or none. */
function problems(yaml: string, environment: Record<string, string> = {}): readonly string[] {
  try {
    loadConfig(yaml, environment)
    return []
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error))
    return error.problems
  }
}

const named = { HANSA_SERVER_NAME: 'example.org' }

test('everything but the server name has a default', () => {
  const config = loadConfig('server_name: example.org', {})
  assert.equal(config.default_room_version, '12')
  assert.deepEqual(config.federation.retry, { min_ms: 15_000, max_ms: 21_600_000 })
  assert.deepEqual(problems(''), [
    'server_name: found nothing, expected a server name such as example.org, example.org:8448 or [::1]:8448',
  ])
})

test('a table that is given in part keeps the other defaults', () => {
  const config = loadConfig('{server_name: a, federation: {retry: {min_ms: 5}}}', {})
  assert.equal(config.federation.retry.min_ms, 5)
  assert.equal(config.federation.retry.max_ms, 21_600_000)
  assert.equal(config.federation.enabled, true)
})

const wrong = [
  ['servername: a', 'servername: there is no such key; the nearest is server_name'],
  [
    'federation: {retry: {min: 1}}',
    'federation.retry.min: there is no such key; the nearest is federation.retry.min_ms',
  ],
  ['public_baseurl: ftp://a', 'public_baseurl: found "ftp://a", expected an http or https URL'],
  ['rate_limits: maybe', 'rate_limits: found "maybe", expected true or false'],
  ['default_room_version: "13"', 'default_room_version: found "13", expected one of 1, 2, 3'],
  [
    'listeners: [{port: 70000}]',
    'listeners[0].port: found 70000, expected a whole number from 0 to 65535',
  ],
  ['listeners: 8448', 'listeners: found 8448, expected a list'],
  ['federation: {ca_files: [1]}', 'federation.ca_files[0]: found 1, expected a text'],
  ['database: {type: postgres}', 'database.url: found nothing, expected where PostgreSQL is'],
  [
    'registration: {verification: email}',
    'registration.verification: found email, expected email.smtp_host and email.from too',
  ],
  ['log: {level: loud}', 'log.level: found "loud", expected one of error, warn, info, debug'],
  ['[1, 2]', 'the file: found [1,2], expected a table'],
  ['a: [', 'the file is not YAML'],
  ['server_name: *nothing', 'the file cannot be read: Unresolved alias'],
  ['federation: &x [*x]', 'the file cannot be read: Converting circular structure'],
] as const

for (const [yaml, problem] of wrong) {
  test(`${yaml} -> ${problem}`, () => {
    const found = problems(yaml, named)
    assert.equal(found.filter((each) => each.startsWith(problem)).length, 1, found.join('\n'))
  })
}

test('a server name that is none', () => {
  assert.match(problems('server_name: "a b"')[0] ?? '', /^server_name: found "a b", expected a/)
  assert.match(problems('server_name: 17')[0] ?? '', /^server_name: found 17, expected a server/)
})

test('what is no YAML in the environment is told', () => {
  assert.deepEqual(problems('server_name: a.example', { HANSA_SERVER_NAME: '*nothing' }), [
    'HANSA_SERVER_NAME cannot be read: Unresolved alias (the anchor must be set before the alias): nothing',
  ])
  const [problem = ''] = problems('server_name: a.example', { HANSA_SERVER_NAME: '[a' })
  assert.ok(problem.startsWith('HANSA_SERVER_NAME is not YAML: '), problem)
})

test('the environment overrides the file, and is checked like it', () => {
  const environment = {
    HANSA_FEDERATION__RETRY__MIN_MS: '20',
    HANSA_SERVER_NAME: 'b.example',
    HANSA_LISTENERS: '[{port: 1}]',
    HANSA_TEST_ANYTHING: 'x',
    HOME: '/root',
  }
  const config = loadConfig('server_name: a.example', environment)
  assert.equal(config.server_name, 'b.example')
  assert.equal(config.federation.retry.min_ms, 20)
  assert.equal(config.listeners[0]?.port, 1)
  assert.deepEqual(problems('server_name: a', { HANSA_RATE_LIMITS: '3' }), [
    'rate_limits: found 3, expected true or false',
  ])
  assert.deepEqual(problems('server_name: a', { HANSA_FEDERATION__ENABLE: 'true' }), [
    'HANSA_FEDERATION__ENABLE: there is no such setting; the nearest is HANSA_FEDERATION__ENABLED',
  ])
})
