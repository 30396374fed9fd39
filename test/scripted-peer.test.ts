/**
 * A played server is a server: a Hansa lives with it in a room, over real sockets and TLS.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { issueCertificate } from '../src/io/certificates.ts'
import { listen } from '../src/io/http-server.ts'
import { realClock } from '../src/io/real-clock.ts'
import { realNetwork } from '../src/io/real-network.ts'
import type { ServerName } from '../src/protocol/identifiers/ids.ts'
import { roomVersions } from '../src/protocol/room-version.ts'
import { loopbackHansa } from './loopback-hansa.ts'
import { freePort } from './rig/processes.ts'
import { ScriptedPeer } from './scripted-peer/scripted-peer.ts'

for (const version of [roomVersions.get('1'), roomVersions.get('12')]) {
  test(`version ${version?.id}: a room of a played server, over a real network`, async (t) => {
    assert.ok(version)
    const { server, name, authority } = await loopbackHansa(t)
    const host = '127.0.0.1'
    const port = await freePort(host)
    const { httpClient } = realNetwork({ ca: [authority.cert], allowPrivateIps: true })
    t.after(() => httpClient.close())
    const peer = new ScriptedPeer({
      serverName: `${host}:${port}` as ServerName,
      seed: new Uint8Array(32).fill(9),
      httpClient,
      clock: realClock,
      wait: (promise) => promise,
    })
    const tls = await issueCertificate(authority, [host], Date.now())
    const listening = await peer.listen(listen, { host, port, tls })
    t.after(() => listening.close(0))
    const room = peer.createRoom(version)
    const { roomId } = room
    const alice = `@alice:${name}` as const
    const joined = await server.rooms.join({ userId: alice, roomId, via: [peer.name], content: {} })
    assert.ok(room.event(joined), 'the played server has taken the join')
    const said = room.add(room.draft(peer.user('u'), 'm.room.message', { body: 'hello' }))
    const { body } = await peer.transaction(name, { pdus: [said] })
    assert.deepEqual(body.pdus, { [said.event_id]: {} })
    const path = `/_matrix/federation/v1/event/${encodeURIComponent(joined)}`
    assert.equal((await peer.request(name, 'GET', path)).status, 200)
    await server.rooms.leave({ userId: alice, roomId, content: {} })
  })
}
