/**
 * What the code must be like, where no compiler or linter can say it: which room may import which,
 * which version of the spec links lead to, how long files are. ARCHITECTURE.md explains the table;
 * this file is the law.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'

const mayImport: Record<string, readonly string[]> = {
  protocol: [],
  schema: ['protocol'],
  io: ['protocol'],
  http: ['protocol', 'schema', 'io'],
  endpoints: ['http', 'schema', 'protocol'],
  storage: ['protocol', 'io'],
  rooms: ['protocol', 'storage', 'io'],
  federation: ['protocol', 'storage', 'io', 'endpoints', 'rooms', 'http', 'schema'],
  users: ['protocol', 'storage', 'io', 'rooms', 'federation'],
  identity: ['protocol', 'endpoints', 'http', 'schema', 'io'],
  policy: ['protocol', 'io', 'rooms'],
  pressure: ['protocol', 'io', 'http'],
  directory: ['protocol', 'storage', 'io', 'rooms'],
  media: ['protocol', 'storage', 'io', 'federation'],
  push: ['protocol', 'storage', 'io', 'rooms', 'users', 'endpoints', 'http', 'schema'],
  sync: ['protocol', 'storage', 'io', 'rooms', 'users', 'push'],
  search: ['protocol', 'storage', 'io', 'rooms', 'sync'],
  'federation-api': [
    'protocol',
    'endpoints',
    'http',
    'rooms',
    'federation',
    'directory',
    'media',
    'users',
    'server.ts',
  ],
  'client-api': [
    'protocol',
    'endpoints',
    'http',
    'schema',
    'rooms',
    'users',
    'sync',
    'search',
    'federation',
    'directory',
    'media',
    'identity',
    'push',
    'server.ts',
  ],
  // Of others it takes only the types of what is drawn.
  'room-picture': ['endpoints', 'http'],
  'admin-api': [
    'protocol',
    'endpoints',
    'http',
    'io',
    'rooms',
    'federation',
    'users',
    'room-picture',
    'server.ts',
  ],
  config: ['schema', 'protocol', 'io'],
}

const builtins: Record<string, RegExp> = {
  protocol: /^node:(crypto|module|assert\/strict)$/,
  io: /^node:/,
  storage: /^node:(sqlite|worker_threads|assert\/strict|crypto|zlib)$/,
  cli: /^node:/,
}
const builtinsElsewhere = /^node:(assert\/strict|crypto|zlib|util)$/

const specVersion = 'v1.19'
const linesMax = 800

for (const path of globSync('src/**/*.ts')) {
  const text = readFileSync(path, 'utf8')
  const parts = path.split('/')
  const room = parts.length > 2 ? (parts[1] ?? '') : ''
  const isTest = path.endsWith('.test.ts')

  if (room !== '' && room !== 'cli') {
    test(`${path} imports only what ${room} may`, () => {
      for (const [, specifier = ''] of text.matchAll(/(?:from|import\() ?'([#.][^']+)'/g)) {
        const target = specifier.startsWith('#')
          ? specifier.slice(1).split('/')[0]
          : join(dirname(path), specifier).split('/')[1]
        if (target === room) continue
        assert.ok(
          isTest || mayImport[room]?.includes(target ?? ''),
          `${room} may not import ${target}`,
        )
      }
      if (isTest) return
      for (const [, builtin = ''] of text.matchAll(/from '(node:[^']+)'/g)) {
        assert.match(builtin, builtins[room] ?? builtinsElsewhere, `${room} may not use ${builtin}`)
      }
    })
  }

  test(`${path} keeps the house rules`, () => {
    for (const [link, version] of text.matchAll(/https:\/\/spec\.matrix\.org\/([^/]+)\S+/g)) {
      assert.equal(version, specVersion, link)
    }
    assert.doesNotMatch(text, /\b(?:FIXME|HACK|XXX)\b/)
    assert.doesNotMatch(text, /Math\.random/)
    const lines = text.split('\n')
    assert.ok(lines.length <= linesMax, `${lines.length} lines`)
  })
}
