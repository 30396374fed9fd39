/**
 * The disk of `npm run power` loses what a real one may lose, and nothing else.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../src/io/simulated/simulated-random.ts'
import type { Call } from './crash/calls.ts'
import { Disk } from './crash/disk.ts'

/** Calls, each after the one before. */
function callsFor(disk: Disk) {
  let now = 0
  const call = (name: string, more: Partial<Call>) => {
    now += 2
    const when = { startS: now, endS: now + 1 }
    const rest = { thread: 1, result: 0, descriptor: undefined, path: undefined, rest: '' }
    disk.apply({ ...rest, texts: [], ...more, name, ...when })
  }
  const texts = (...all: string[]) => all.map((text) => Buffer.from(text))
  return {
    make: (path: string) =>
      call('openat', { texts: texts(path), rest: '"", O_WRONLY|O_CREAT', result: 5 }),
    write: (path: string, text: string, at: number) =>
      call('pwrite64', { path, texts: texts(text), rest: `"", ${at}`, result: text.length }),
    append: (path: string, text: string) =>
      call('write', { path, descriptor: 5, texts: texts(text), result: text.length }),
    cut: (path: string, bytes: number) => call('ftruncate', { path, rest: `5, ${bytes}` }),
    sync: (path: string) => call('fsync', { path }),
    rename: (from: string, to: string) => call('rename', { texts: texts(from, to) }),
    remove: (path: string) => call('unlink', { texts: texts(path) }),
    makeFolder: (path: string) => call('mkdir', { texts: texts(path) }),
  }
}

/** All that may be there, each as a list of `path=content`. */
function outcomes(disk: Disk): string[] {
  const all = new Set<string>()
  for (let seed = 0; seed < 1000; seed += 1) {
    const files = [...disk.contents(seededRandom(seed))].flatMap(([path, bytes]) =>
      bytes === undefined ? [] : [`${path}=${bytes}`],
    )
    all.add(files.toSorted().join(' '))
  }
  return [...all].toSorted()
}

test('what is synced is there, and its name if its folder is synced', () => {
  const disk = new Disk('/d')
  const calls = callsFor(disk)
  calls.make('/d/a')
  calls.append('/d/a', 'one')
  assert.deepEqual(outcomes(disk), ['', 'a=', 'a=one'])
  calls.sync('/d/a')
  assert.deepEqual(outcomes(disk), ['', 'a=one'])
  calls.sync('/d')
  assert.deepEqual(outcomes(disk), ['a=one'])
  calls.append('/d/a', ' two')
  assert.deepEqual(outcomes(disk), ['a=one', 'a=one two'])
  calls.cut('/d/a', 2)
  assert.deepEqual(outcomes(disk), ['a=on', 'a=one', 'a=one two'])
})

test('a file that is renamed is never lost, but may have either name, or both', () => {
  const disk = new Disk('/d')
  const calls = callsFor(disk)
  calls.makeFolder('/d/b')
  calls.make('/d/a')
  calls.append('/d/a', 'one')
  calls.sync('/d/a')
  calls.sync('/d')
  calls.rename('/d/a', '/d/b/c')
  assert.deepEqual(outcomes(disk), ['a=one', 'a=one b/c=one', 'b/c=one'])
  calls.sync('/d/b')
  assert.deepEqual(outcomes(disk), ['a=one b/c=one', 'b/c=one'])
  calls.remove('/d/b/c')
  calls.sync('/d')
  assert.deepEqual(outcomes(disk), ['', 'b/c=one'])
})

test('what is in a folder is lost with the name of the folder', () => {
  const disk = new Disk('/d')
  const calls = callsFor(disk)
  calls.makeFolder('/d/b')
  calls.make('/d/b/c')
  calls.append('/d/b/c', 'one')
  calls.sync('/d/b/c')
  calls.sync('/d/b')
  assert.deepEqual(outcomes(disk), ['', 'b/c=one'])
})

test('writes are lost one by one and sector by sector, and a sector is never torn', () => {
  const disk = new Disk('/d')
  const calls = callsFor(disk)
  calls.make('/d/a')
  calls.write('/d/a', 'a'.repeat(1024), 0)
  calls.sync('/d/a')
  calls.sync('/d')
  calls.write('/d/a', 'b'.repeat(1000), 12)
  calls.write('/d/a', 'c', 512)
  const all = outcomes(disk).map((text) => text.slice('a='.length))
  const halves = all.map((text) => [text.slice(0, 512), text.slice(512)] as const)
  const first = ['a'.repeat(512), `${'a'.repeat(12)}${'b'.repeat(500)}`]
  const begun = 'b'.repeat(500) + 'a'.repeat(12)
  const second = ['a'.repeat(512), `c${'a'.repeat(511)}`, begun, `c${begun.slice(1)}`]
  assert.deepEqual([...new Set(halves.map(([half]) => half))].toSorted(), first.toSorted())
  assert.deepEqual([...new Set(halves.map(([, half]) => half))].toSorted(), second.toSorted())
  assert.equal(new Set(all).size, 8)
})
