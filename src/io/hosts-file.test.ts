import assert from 'node:assert/strict'
import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { hostsFile, parseHosts } from './hosts-file.ts'

test('lines of a hosts file', () => {
  const text = [
    '127.0.0.1 localhost  Local.Example # localhost',
    '::1\tlocalhost',
    '# 1.2.3.4 comment',
    '  10.0.0.1   indented',
    'not-an-address name',
    '1.2.3 name',
    '',
  ].join('\r\n')
  assert.deepEqual(Object.fromEntries(parseHosts(text)), {
    localhost: ['127.0.0.1', '::1'],
    'local.example': ['127.0.0.1'],
    indented: ['10.0.0.1'],
  })
})

test('the file is read again when it has changed, and need not be there', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'hansa-hosts-'))
  const path = join(folder, 'hosts')
  let nowMs = 0
  const lookUp = hostsFile(path, () => nowMs)
  assert.deepEqual(await lookUp('a.test'), [])
  await writeFile(path, '1.2.3.4 a.test')
  assert.deepEqual(await lookUp('a.test'), [])
  nowMs += 5000
  assert.deepEqual(await lookUp('a.test'), ['1.2.3.4'])
  await writeFile(path, '5.6.7.8 a.test')
  await utimes(path, 1, 1)
  nowMs += 5000
  assert.deepEqual(await lookUp('a.test'), ['5.6.7.8'])
  await rm(folder, { recursive: true })
})
