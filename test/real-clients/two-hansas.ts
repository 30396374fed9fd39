/**
 * Two Hansas that federate, as processes over TLS, for as long as the tests of a file take.
 *
 * @module
 */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before } from 'node:test'
import { makeAuthority } from '../../src/io/certificates.ts'
import { prepareHansa } from '../rig/hansa.ts'
import type { ServerProcess } from '../rig/processes.ts'

const host = '127.0.0.1'

/** Call it once at the top of a file; the servers are there when its tests begin. */
export function twoHansas(): readonly ServerProcess[] {
  const servers: ServerProcess[] = []
  let folder = ''
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'hansa-clients-'))
    const authority = await makeAuthority('test', Date.now())
    for (const name of ['a', 'b']) {
      servers.push(await prepareHansa({ folder: join(folder, name), host, authority }))
    }
    await Promise.all(servers.map((server) => server.start()))
  })
  after(async () => {
    await Promise.all(servers.map((server) => server.end()))
    rmSync(folder, { recursive: true, force: true })
  })
  return servers
}
