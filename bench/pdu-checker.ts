/**
 * What it costs to check PDUs: the parts by themselves, all of it in place, and on worker threads,
 * with how long the main thread is kept from other work. Run it with `node bench/pdu-checker.ts`.
 *
 * @module
 */

import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import { pduCheckerInPlace } from '../src/io/pdu-checker-in-place.ts'
import { pduCheckerWorkers } from '../src/io/pdu-checker-workers.ts'
import { realClock } from '../src/io/real-clock.ts'
import { buildPdu } from '../src/protocol/build-pdu.ts'
import { canonicalJson } from '../src/protocol/canonical-json.ts'
import { canonicalLengthOf } from '../src/protocol/canonical-length.ts'
import { checkPdu, keysByServer, type VerifyKey } from '../src/protocol/check-pdu.ts'
import { libsodium, openSsl, signingKeyOf, verifyEd25519 } from '../src/protocol/ed25519.ts'
import type { ServerName } from '../src/protocol/identifiers/ids.ts'
import { readJson } from '../src/protocol/json-reader.ts'
import { elementsOf } from '../src/protocol/json-spans.ts'
import { parsePdu, pduOfCheckedBytes } from '../src/protocol/parse-pdu.ts'
import { type RoomVersion, roomVersions } from '../src/protocol/room-version.ts'

const count = Number(process.argv[2] ?? 5000)
const version = roomVersions.get('11') as RoomVersion
const key = signingKeyOf(new Uint8Array(32).fill(7))
const serverName = 'example.org' as ServerName
const keyId = 'ed25519:auto'
const keys: VerifyKey[] = [{ server: serverName, keyId, key: key.publicKey, validUntilTs: 2e12 }]

/** A message of about a kilobyte. */
function message(index: number): Uint8Array {
  const built = buildPdu(
    version,
    {
      room_id: '!abcdefghijklmnopqr:example.org',
      type: 'm.room.message',
      sender: '@alice:example.org',
      depth: index + 1,
      origin_server_ts: 1_700_000_000_000 + index,
      prev_events: [{ event_id: `$${'p'.repeat(43)}` }],
      auth_events: ['a', 'b', 'c'].map((letter) => ({
        event_id: `$${letter.repeat(43)}` as const,
      })),
      content: { msgtype: 'm.text', body: `${index}: ${'lorem ipsum dolor '.repeat(16)}` },
    },
    { serverName, keyId, sign: key.sign },
  )
  if (!built.ok) throw new Error(built.reason)
  return built.pdu.bytes
}

function measure(name: string, each: (index: number) => unknown): void {
  let best = Number.POSITIVE_INFINITY
  for (let round = 0; round < 5; round++) {
    const start = performance.now()
    for (let index = 0; index < count; index++) each(index)
    best = Math.min(best, ((performance.now() - start) * 1000) / count)
  }
  console.log(`${name.padEnd(44)} ${best.toFixed(2).padStart(8)} us`)
}

const canonical = Array.from({ length: count }, (_, index) => message(index))
const at = (list: readonly Uint8Array[], index: number) => list[index] as Uint8Array
/** As other servers send them: keys in another order, and `unsigned`. */
const wire = canonical.map((bytes) => {
  const { type, sender, ...rest } = JSON.parse(Buffer.from(bytes).toString())
  return Buffer.from(JSON.stringify({ type, sender, ...rest, unsigned: { age: 1234 } }))
})
const events = canonical.map((bytes) => JSON.parse(Buffer.from(bytes).toString()))
const byServer = keysByServer(keys)
const signature = key.sign(at(canonical, 0))

console.log(
  `${count} events of ${at(canonical, 0).length} bytes; ${libsodium ? 'libsodium' : 'OpenSSL'}`,
)
measure('JSON.parse', (index) => JSON.parse(Buffer.from(at(wire, index)).toString()))
measure('JSON.stringify', (index) => JSON.stringify(events[index]))
measure('canonical JSON', (index) => canonicalJson(events[index]))
measure('strict read', (index) => readJson(at(wire, index), 'canonical'))
measure('canonical length', (index) => canonicalLengthOf(at(wire, index)))
measure('parsePdu, as others send it', (index) => parsePdu(version, at(wire, index)))
measure('pduOfCheckedBytes', (index) => pduOfCheckedBytes(version, '$x', at(canonical, index)))
measure('checkPdu, as others send it', (index) => checkPdu(version, at(wire, index), byServer))
for (const library of [libsodium, openSsl]) {
  if (library === undefined) continue
  measure(`verify 1 kB, ${library.name}`, () =>
    verifyEd25519(key.publicKey, at(canonical, 0), signature, library),
  )
}
const body = Buffer.from(`[${wire.map((bytes) => bytes.toString()).join(',')}]`)
let start = performance.now()
const cut = elementsOf(body)?.length ?? 0
console.log(
  `cut out of an array: ${(((performance.now() - start) * 1000) / cut).toFixed(2)} us each`,
)

for (const [name, checker] of [
  ['in place', pduCheckerInPlace(realClock)],
  ['on threads', pduCheckerWorkers(realClock)],
] as const) {
  await checker.check(version, wire.slice(0, 500), keys)
  for (const size of [20_000, 50]) {
    const batch = Array.from({ length: size }, (_, index) => at(wire, index % count))
    const delay = monitorEventLoopDelay({ resolution: 1 })
    delay.enable()
    start = performance.now()
    const rounds = Math.max(1, 2000 / size)
    for (let round = 0; round < rounds; round++) await checker.check(version, batch, keys)
    const us = ((performance.now() - start) * 1000) / (size * rounds)
    delay.disable()
    const stall = (delay.max / 1e6).toFixed(1)
    console.log(`batch of ${size} ${name}: ${us.toFixed(1)} us a PDU, longest stall ${stall} ms`)
  }
  await checker.close()
}
