/**
 * What other servers and hosts answer us: keys, delegations, records, transactions, media.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { signingKeyOf } from '#protocol/ed25519.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import { parseServerName } from '#protocol/identifiers/server-name.ts'
import { isJsonObject } from '#protocol/json.ts'
import { readJson } from '#protocol/json-reader.ts'
import { signJson } from '#protocol/signatures.ts'
import { readTransaction, roomIdOfPdu } from '../../../src/federation/incoming-transaction.ts'
import { isSignedByNotary, readServerKeys } from '../../../src/federation/server-keys-answer.ts'
import { createSrvTargets } from '../../../src/federation/srv-targets.ts'
import { createWellKnown } from '../../../src/federation/well-known.ts'
import { mediumIn } from '../../../src/http/multipart.ts'
import type { SrvRecord } from '../../../src/io/dns.ts'
import type { IncomingAnswer } from '../../../src/io/http.ts'
import { realClock } from '../../../src/io/real-clock.ts'
import { VirtualTime } from '../../../src/io/simulated/simulated-clock.ts'
import { seededRandom } from '../../../src/io/simulated/simulated-random.ts'
import { firstLine, type Target } from '../target.ts'

const now = 1_700_000_000_000
const weekMs = 7 * 86_400_000
const peer = 'a.example' as ServerName
const key = signingKeyOf(Buffer.alloc(32, 5))
const otherKey = signingKeyOf(Buffer.alloc(32, 6))
const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64').replace(/=+$/, '')
const signer = { serverName: peer, keyId: 'ed25519:a', sign: key.sign }

const keyAnswer = {
  server_name: peer,
  valid_until_ts: now + weekMs,
  verify_keys: { 'ed25519:a': { key: base64(key.publicKey) } },
  old_verify_keys: { 'ed25519:b': { key: base64(otherKey.publicKey), expired_ts: now - 1000 } },
}

export const serverKeys: Target = {
  name: 'server-keys',
  seeds: [JSON.stringify(keyAnswer), JSON.stringify(signJson(keyAnswer, signer))],
  words: [
    'verify_keys',
    'old_verify_keys',
    'ed25519:a',
    'ed25519:',
    'expired_ts',
    'signatures',
    'server_name',
    'valid_until_ts',
    'key',
  ],
  run(input) {
    const given = readJson(input, 'raw')
    if (!given.ok) return
    const isSignable = isJsonObject(given.value) && isJsonObject(given.value.signatures ?? {})
    // The mutations break signatures, so the other half of the answers is signed after them.
    const answers = isSignable ? [given.value, resigned(input)] : [given.value]
    for (const answer of answers) {
      if (answer === undefined) continue
      const read = readServerKeys(answer, peer, now)
      if (isJsonObject(answer)) {
        isSignedByNotary(answer, peer, [{ keyId: 'ed25519:a', key: key.publicKey }])
      }
      if (!read.ok) continue
      assert.ok(read.keys.length > 0 && read.validUntilTs <= now + weekMs)
      for (const one of read.keys) {
        assert.equal(one.key.length, 32)
        assert.match(one.keyId, /^ed25519:./s)
        assert.ok(one.expired || one.validUntilTs <= now + weekMs)
      }
    }
  },
}

function resigned(input: Uint8Array) {
  const read = readJson(input, 'canonical')
  return read.ok && isJsonObject(read.value) ? signJson(read.value, signer) : undefined
}

/** The status, then headers of a line each, then the body after an empty line. */
export function answerIn(input: Uint8Array): IncomingAnswer {
  const { line, rest } = firstLine(input)
  const headers: Record<string, string> = {}
  let left = rest
  for (let next = firstLine(left); next.line !== ''; next = firstLine(left)) {
    const colon = next.line.indexOf(':')
    if (colon > 0)
      headers[next.line.slice(0, colon).toLowerCase()] = next.line.slice(colon + 1).trim()
    left = next.rest
  }
  const status = Math.trunc(Number(line))
  return {
    status: status >= 200 && status <= 599 ? status : 200,
    headers,
    body: firstLine(left).rest,
  }
}

export const wellKnown: Target = {
  name: 'well-known',
  seeds: [
    '200\ncache-control: max-age=3600\n\n{"m.server":"b.example:443"}',
    '200\nexpires: Thu, 01 Jan 2026 00:00:00 GMT\n\n{"m.server":"[::1]:8448"}',
    '302\nlocation: https://other.example/x\n\n',
    '302\nlocation: //u:p@other.example\n\n',
    '503\n\n',
  ],
  words: [
    'location: ',
    'cache-control: no-store',
    'max-age=',
    'm.server',
    '\n\n',
    'https://',
    'http://a',
  ],
  async run(input) {
    const time = new VirtualTime(now)
    const answer = answerIn(input)
    let asked = 0
    const found = await createWellKnown({
      clock: time.clock(),
      random: seededRandom(1),
      httpClient: {
        async request({ protocol, port }) {
          asked += 1
          assert.equal(protocol, 'https:')
          assert.ok(port > 0 && port <= 65_535)
          return answer
        },
        close: async () => {},
      },
    }).delegation('a.example')
    assert.ok(asked <= 6, 'there are not too many redirects')
    if (found === undefined) return
    assert.equal(answer.status, 200)
    assert.equal(parseServerName(found.name), found.name)
    assert.ok(found.port === undefined || (found.port >= 1 && found.port <= 65_535))
  },
}

export const srvRecords: Target = {
  name: 'srv-records',
  seeds: [
    '[{"priority":10,"weight":5,"port":8448,"target":"m.example"},{"priority":10,"weight":0,"port":1,"target":"n.example"},{"priority":0,"weight":60000,"port":443,"target":"x"}]',
    '[{"priority":0,"weight":0,"port":0,"target":"."}]',
    '[]',
  ],
  words: ['priority', 'weight', 'port', 'target', '65535', 'a.example:1', '[::1]', '1.2.3.4'],
  errors: ['ServiceNotOffered'],
  async run(input) {
    const read = readJson(input, 'any')
    if (!read.ok || !Array.isArray(read.value)) return
    // What a DNS client gives is of these types, whatever was in the packet.
    const short = (value: unknown) => (typeof value === 'number' ? Math.abs(value) & 0xffff : 0)
    const records = read.value.filter(isJsonObject).map(
      (one): SrvRecord => ({
        priority: short(one.priority),
        weight: short(one.weight),
        port: short(one.port),
        target: typeof one.target === 'string' ? one.target : '.',
      }),
    )
    const targets = await createSrvTargets({
      clock: new VirtualTime(now).clock(),
      random: seededRandom(input.length),
      dns: {
        srv: async () => ({ records, ttlSeconds: 60 }),
        addresses: async () => ({ records: [], ttlSeconds: 0 }),
      },
    }).targets('a.example')
    assert.ok(targets.length <= 8)
    const priorities = targets.map(({ hostname, port }) => {
      assert.ok(port >= 1 && !hostname.includes(':') && parseServerName(hostname) !== undefined)
      const same = records.filter((one) => one.target === hostname && one.port === port)
      assert.ok(same.length > 0)
      return same.map(({ priority }) => priority)
    })
    for (const [at, these] of priorities.entries()) {
      const next = priorities[at + 1]
      if (next !== undefined) assert.ok(Math.min(...these) <= Math.max(...next))
    }
  },
}

export const transaction: Target = {
  name: 'transaction',
  seeds: [
    '{"origin":"a.example","origin_server_ts":1,"pdus":[{"room_id":"!r:a","a":1.0},7],"edus":[{"edu_type":"m.typing","content":{}}]}',
    '{"pdus":[{"a":"]}"}]}',
    '{"edus":[]}',
  ],
  words: ['"pdus":[', '"edus":[', '"origin":', '"room_id":', 'edu_type', 'content'],
  errors: ['MatrixError'],
  async run(input) {
    const { pdus, edus } = await readTransaction(realClock, input, peer)
    assert.ok(pdus.length <= 50 && edus.length <= 100)
    const whole = readJson(input, 'any')
    for (const bytes of pdus) roomIdOfPdu(bytes)
    for (const edu of edus) assert.ok(typeof edu.edu_type === 'string' && isJsonObject(edu.content))
    if (!whole.ok || !isJsonObject(whole.value)) return
    const listed = whole.value.pdus
    const read = pdus.map((bytes) => readJson(bytes, 'any')).map((one) => one.ok && one.value)
    assert.deepEqual(read, listed ?? [])
  },
}

export const multipart: Target = {
  name: 'multipart',
  seeds: [
    'multipart/mixed; boundary=gc0p\n--gc0p\r\nContent-Type: application/json\r\n\r\n{}\r\n--gc0p\r\nContent-Type: text/plain\r\nContent-Disposition: inline; filename="x"\r\n\r\nmedium\r\n--gc0p--\r\n',
    'Multipart/Mixed;boundary="a b"\n--a b\r\n\r\n{}\r\n--a b\r\n\r\nx\r\n--a b--',
  ],
  words: ['--gc0p', '\r\n\r\n', '\r\n--gc0p--', 'Location: https://b.example/x', 'boundary=', '--'],
  run(input) {
    const { line, rest } = firstLine(input)
    const part = mediumIn(line, rest)
    if ('problem' in part) return
    assert.ok(part.headers.size <= 32)
    assert.ok(Buffer.from(rest).includes(part.body), 'the medium is of the body')
    for (const name of part.headers.keys()) assert.equal(name, name.toLowerCase())
  },
}
