/**
 * The demonstration as a visitor runs it: real processes, TLS, a cut, and a page at the end.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'

const run = promisify(execFile)
const main = new URL('../demo/main.ts', import.meta.url).pathname

test('two servers agree after a cut, and the room is drawn', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'hansa-demo-test-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const out = join(folder, 'room.html')
  const { stdout } = await run(process.execPath, [main, '--out', out])
  assert.match(stdout, /Both servers hold the same 12 state events/)
  assert.match(stdout, /room\.html/)
  const page = readFileSync(out, 'utf8')
  // What state resolution v2.1 makes of it: power first, then whose power counts, then age.
  const outcomes = [...page.matchAll(/badge (won|lost)">(?:won|lost): ([^<]+)</g)]
  const won = outcomes.filter(([, mark]) => mark === 'won').map(([, , what]) => what)
  assert.deepEqual(won.sort(), [
    'Membership of Arne',
    'Membership of Bengt',
    'Name',
    'Power levels',
    'Topic',
  ])
  for (const winner of [
    /<b>Anna<\/b> changes power: Birger 100 → 0/,
    /<b>Arne<\/b> joins/,
    /<b>Anna<\/b> bans Bengt/,
    /<b>Brita<\/b> sets the name to “The League of Visby”/,
    /<b>Anna<\/b> sets the topic to “The price of salt”/,
  ]) {
    assert.match(page, new RegExp(`✓</span>\\s+<a[^>]+>\\d+</a> ${winner.source}`))
  }
  assert.match(page, /soft-failed in Lübeck/)
})

test('arguments that are not known are refused with a sentence', async () => {
  const refused = await run(process.execPath, [main, '--kep']).catch((error: unknown) => error)
  const { code, stderr } = refused as { code: number; stderr: string }
  assert.equal(code, 2)
  assert.match(stderr, /--kep/)
})
