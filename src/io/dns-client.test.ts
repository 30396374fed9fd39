/**
 * The stub resolver against a small name server on loopback, over real sockets.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { after, before, test } from 'node:test'
import dnsPacket, { type Answer, type Packet, type Question, type SrvAnswer } from 'dns-packet'
import { createDnsClient } from './dns-client.ts'
import { realRandom } from './real-random.ts'

const soa: Answer = {
  type: 'SOA',
  name: 'test',
  ttl: 900,
  data: {
    mname: 'ns.test',
    rname: 'x.test',
    serial: 1,
    refresh: 1,
    retry: 1,
    expire: 1,
    minimum: 7,
  },
}

/** What the name server says to `TYPE name`. */
const zone: Record<string, Partial<Packet> & { rcode?: number; onlyTcp?: boolean }> = {
  'SRV _matrix-fed._tcp.a.test': {
    answers: [
      srv('_matrix-fed._tcp.a.test', 300, {
        priority: 10,
        weight: 5,
        port: 443,
        target: 'h1.test.',
      }),
      srv('_matrix-fed._tcp.a.test', 200, {
        priority: 20,
        weight: 0,
        port: 8448,
        target: 'h2.test',
      }),
    ],
  },
  'SRV _matrix-fed._tcp.none.test': { rcode: 3, authorities: [soa] },
  'SRV _matrix-fed._tcp.empty.test': { authorities: [soa] },
  'SRV _matrix-fed._tcp.plain.test': {},
  'SRV _matrix-fed._tcp.dot.test': {
    answers: [srv('_matrix-fed._tcp.dot.test', 60, { port: 0, target: '.' })],
  },
  'SRV _matrix-fed._tcp.fails.test': { rcode: 2 },
  'SRV _matrix-fed._tcp.large.test': {
    onlyTcp: true,
    answers: Array.from({ length: 50 }, (_, index) =>
      srv('_matrix-fed._tcp.large.test', 60, { port: index, target: `h${index}.test` }),
    ),
  },
  'A host.test': { answers: [{ type: 'A', name: 'host.test', ttl: 120, data: '192.0.2.1' }] },
  'AAAA host.test': {
    answers: [{ type: 'AAAA', name: 'host.test', ttl: 60, data: '2001:db8::1' }],
  },
  'A four.test': { answers: [{ type: 'A', name: 'four.test', ttl: 120, data: '192.0.2.4' }] },
  'AAAA four.test': { authorities: [soa] },
  'A alias.test': {
    answers: [
      { type: 'CNAME', name: 'alias.test', ttl: 30, data: 'middle.test' },
      { type: 'CNAME', name: 'middle.test', ttl: 99, data: 'four.test' },
      { type: 'A', name: 'four.test', ttl: 120, data: '192.0.2.4' },
    ],
  },
  'AAAA alias.test': {
    answers: [{ type: 'CNAME', name: 'alias.test', ttl: 30, data: 'four.test' }],
  },
  'A loop.test': { answers: [{ type: 'CNAME', name: 'loop.test', ttl: 30, data: 'loop.test' }] },
  'AAAA loop.test': { authorities: [soa] },
  'A stray.test': { answers: [{ type: 'A', name: 'other.test', ttl: 30, data: '192.0.2.66' }] },
  'AAAA stray.test': { authorities: [soa] },
}

function srv(name: string, ttl: number, data: SrvAnswer['data']): Answer {
  return { type: 'SRV', name, ttl, data }
}

const udp = createSocket('udp4')
let port = 0
/** How many questions came by UDP; and for a server that says nothing, a port. */
let asked = 0
/** Turns a right answer into what is sent. */
let forge: (answer: Buffer) => Buffer[] = (answer) => [answer]

function answerTo(message: Buffer, isTcp: boolean): Buffer {
  const { id = 0, questions = [] } = dnsPacket.decode(message)
  const [question] = questions as Question[]
  assert(question)
  const found = zone[`${question.type} ${question.name}`] ?? { rcode: 3, authorities: [soa] }
  const isTruncated = found.onlyTcp === true && !isTcp
  return dnsPacket.encode({
    type: 'response',
    id,
    flags: (found.rcode ?? 0) | (isTruncated ? dnsPacket.TRUNCATED_RESPONSE : 0),
    questions: [question],
    answers: isTruncated ? [] : (found.answers ?? []),
    authorities: found.authorities ?? [],
  })
}

const tcp = createServer((socket) => {
  socket.on('data', (chunk: Buffer) => {
    const answer = answerTo(chunk.subarray(2), true)
    const length = Buffer.alloc(2)
    length.writeUInt16BE(answer.length)
    // In two pieces, as a network may.
    socket.write(Buffer.concat([length, answer.subarray(0, 5)]))
    socket.end(answer.subarray(5))
  })
})

before(async () => {
  tcp.listen(0, '127.0.0.1')
  await once(tcp, 'listening')
  port = (tcp.address() as AddressInfo).port
  udp.on('message', (message, from) => {
    asked += 1
    for (const answer of forge(answerTo(message, false))) udp.send(answer, from.port, from.address)
  })
  udp.bind(port, '127.0.0.1')
  await once(udp, 'listening')
})

after(() => {
  tcp.close()
  udp.close()
})

function client(options: { servers?: string[]; hosts?: Record<string, string[]> } = {}) {
  return createDnsClient({
    servers: options.servers ?? [`127.0.0.1:${port}`],
    random: realRandom,
    tryMs: 300,
    hosts: async (name) => options.hosts?.[name] ?? [],
  })
}

test('SRV records come with priority, weight, port, target and the shortest lifetime', async () => {
  assert.deepEqual(await client().srv('_matrix-fed._tcp.A.test'), {
    records: [
      { priority: 10, weight: 5, port: 443, target: 'h1.test' },
      { priority: 20, weight: 0, port: 8448, target: 'h2.test' },
    ],
    ttlSeconds: 200,
  })
})

test('no such name and no such record are answers, as long as the zone says', async () => {
  for (const [name, ttlSeconds] of [
    ['none', 7],
    ['empty', 7],
    ['plain', 60],
  ] as const) {
    const found = await client().srv(`_matrix-fed._tcp.${name}.test`)
    assert.deepEqual(found, { records: [], ttlSeconds })
  }
})

test('a target that is a dot is an empty name', async () => {
  const { records } = await client().srv('_matrix-fed._tcp.dot.test')
  assert.deepEqual(records, [{ priority: 0, weight: 0, port: 0, target: '' }])
})

test('an answer that does not fit comes by TCP', async () => {
  assert.equal((await client().srv('_matrix-fed._tcp.large.test')).records.length, 50)
})

test('addresses of both families, with the shorter lifetime', async () => {
  assert.deepEqual(await client().addresses('host.test'), {
    records: ['2001:db8::1', '192.0.2.1'],
    ttlSeconds: 60,
  })
  assert.deepEqual(await client().addresses('four.test'), {
    records: ['192.0.2.4'],
    ttlSeconds: 120,
  })
  assert.deepEqual((await client().addresses('nobody.test')).records, [])
})

test('aliases are followed, within the answer and by asking again', async () => {
  const found = await client().addresses('alias.test')
  assert.deepEqual(found, { records: ['192.0.2.4'], ttlSeconds: 30 })
  await assert.rejects(client().addresses('loop.test'), /aliases/)
})

test('a record of another name is no answer', async () => {
  assert.deepEqual((await client().addresses('stray.test')).records, [])
})

test('the hosts file comes first', async () => {
  asked = 0
  const found = await client({ hosts: { 'host.test': ['127.0.0.9'] } }).addresses('HOST.test')
  assert.deepEqual(found.records, ['127.0.0.9'])
  assert.equal(asked, 0)
})

test('a server that fails or says nothing is tried twice, and the next one asked', async () => {
  asked = 0
  await assert.rejects(client().srv('_matrix-fed._tcp.fails.test'), /no resolver answers/)
  assert.equal(asked, 2)
  const silent = createSocket('udp4').bind(0, '127.0.0.1')
  await once(silent, 'listening')
  const servers = [`127.0.0.1:${silent.address().port}`, `127.0.0.1:${port}`]
  const found = await client({ servers }).addresses('four.test')
  assert.deepEqual(found.records, ['192.0.2.4'])
  silent.close()
})

test('what does not repeat ID and question is not listened to', async () => {
  forge = (answer) => {
    const otherId = Buffer.from(answer)
    otherId.writeUInt16BE((answer.readUInt16BE(0) + 1) & 0xffff)
    const otherName = dnsPacket.encode({
      ...dnsPacket.decode(answer),
      type: 'response',
      questions: [{ type: 'A', name: 'evil.test' }],
    })
    return [otherId, otherName, Buffer.from('junk'), Buffer.alloc(0), answer]
  }
  const found = await client().addresses('four.test')
  forge = (answer) => [answer]
  assert.deepEqual(found.records, ['192.0.2.4'])
})

test('what is no name is not asked', async () => {
  asked = 0
  for (const name of ['', 'a..test', `${'a'.repeat(64)}.test`, `${'a.'.repeat(127)}test`]) {
    await assert.rejects(client().addresses(name), /no name that can be looked up/)
  }
  assert.equal(asked, 0)
})
