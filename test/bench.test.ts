/**
 * The workloads of the bench run, and every event that they put into a server can be read again,
 * which they check themselves. No figure is looked at: speed is measured, never tested.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { readOptions } from '../bench/options.ts'
import { Subject } from '../bench/subject.ts'
import { makeAuthority } from '../src/io/certificates.ts'

test('workloads of the bench run on a Hansa', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'hansa-bench-'))
  const authority = await makeAuthority('Bench', Date.now())
  const subject = await Subject.start('hansa', { folder, authority, asksHeap: true })
  try {
    const names = [
      'inbound-one',
      'local-sends-alone',
      'join-1k',
      'edus',
      'fan-out',
      'fan-out-memory',
      'backfill',
    ]
    const sizes = ['--events', '120', '--members', '60', '--repetitions', '1']
    const { workloads, ...options } = readOptions([...names, ...sizes, '--no-synapse'])
    for (const workload of workloads) {
      const samples = await workload.run({ ...options, subject, authority })
      assert.equal(samples.length, 1, workload.name)
    }
  } finally {
    await subject.end()
    rmSync(folder, { recursive: true, force: true })
  }
})
