import assert from 'node:assert/strict'
import { test } from 'node:test'
import { realClock } from '#io/real-clock.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import { readTransaction, roomIdOfPdu } from './incoming-transaction.ts'

const origin = 'there' as ServerName

const read = (body: string) => readTransaction(realClock, Buffer.from(body), origin)

async function check(body: string): Promise<string> {
  try {
    const { pdus, edus } = await read(body)
    const texts = pdus.map((pdu) => Buffer.from(pdu).toString())
    return `${texts.join(' ')} | ${edus.map((edu) => edu.edu_type).join(' ')}`.trim()
  } catch (error) {
    assert.ok(error instanceof MatrixError)
    return `${error.status} ${error.errcode}`
  }
}

const list = (count: number, element: string) => `[${Array(count).fill(element).join(',')}]`

const cases: [body: string, outcome: string][] = [
  ['{"origin":"there","origin_server_ts":1,"pdus":[]}', '|'],
  ['{"origin":"there","origin_server_ts":1}', '|'],
  ['{"origin":"elsewhere","pdus":[]}', '400 M_INVALID_PARAM'],
  ['{"origin":["there"],"pdus":[]}', '400 M_INVALID_PARAM'],
  ['{"origin":"there","pdus":{}}', '400 M_BAD_JSON'],
  ['{"origin":"there","pdus":null}', '400 M_BAD_JSON'],
  ['{"origin":"there","pdus":[],"edus":7}', '400 M_BAD_JSON'],
  ['[]', '400 M_NOT_JSON'],
  ['', '400 M_NOT_JSON'],
  ['{"pdus":[', '400 M_NOT_JSON'],
  ['{"pdus":[],"pdus":[]}', '400 M_NOT_JSON'],
  // PDUs are cut, not read: numbers keep their text, doubled keys and floats stay where they are.
  ['{"pdus":[{"a": 1.0}, {"a":1,"a":2} ,7,"x"]}', '{"a": 1.0} {"a":1,"a":2} 7 "x" |'],
  ['{"pdus":[{"a":"]}"}]}', '{"a":"]}"} |'],
  ['{"edus":[{"edu_type":"m.typing","content":{}},{"edu_type":1,"content":{}},7]}', '| m.typing'],
  [
    '{"edus":[{"edu_type":"m.a","content":{"x":1,"x":2}},{"edu_type":"m.b","content":{}}]}',
    '| m.b',
  ],
  [`{"pdus":${list(51, '1')}}`, '400 M_INVALID_PARAM'],
  [`{"pdus":[],"edus":${list(101, '{}')}}`, '400 M_INVALID_PARAM'],
  [`{"pdus":[],"edus":${list(100, '{}')}}`, '|'],
]

for (const [body, outcome] of cases) {
  test(`transaction ${body.slice(0, 90)} -> ${outcome}`, async () => {
    assert.equal(await check(body), outcome)
  })
}

test('fifty PDUs are let through', async () => {
  assert.equal((await read(`{"pdus":${list(50, '1')}}`)).pdus.length, 50)
})

test('the room of a PDU is read without reading the PDU', () => {
  const roomOf = (pdu: string) => roomIdOfPdu(Buffer.from(pdu))
  assert.equal(roomOf('{"room_id":"!a:b","depth":1.5,"x":"\\ud800"}'), '!a:b')
  assert.equal(roomOf('{"room_id":"#a:b"}'), undefined)
  assert.equal(roomOf('{"room_id":7}'), undefined)
  // The door drops it; until then it is of one room for all who look.
  assert.equal(roomOf('{"room_id":"!a:b","room_id":"!c:d"}'), '!c:d')
  assert.equal(roomOf('{"room_id":"!a:b"'), undefined)
  assert.equal(roomOf('{}'), undefined)
  assert.equal(roomOf('[]'), undefined)
})

test('what is larger than any event or EDU is passed over, and takes nothing with it', async () => {
  const large = 'x'.repeat(1_000_000)
  const edu = (body: string) => `{"edu_type":"m.a","content":{"body":"${body}"}}`
  const { edus } = await read(`{"edus":[${edu(large)},${edu('x')}]}`)
  assert.deepEqual(edus, [{ edu_type: 'm.a', content: { body: 'x' } }])
  assert.equal(roomIdOfPdu(Buffer.from(`{"room_id":"!a:b","body":"${large}"}`)), undefined)
})

test('of a million elements no more are cut out than it takes to refuse them', async () => {
  const before = process.memoryUsage().heapUsed
  assert.equal(await check(`{"pdus":${list(1_000_000, '1')}}`), '400 M_INVALID_PARAM')
  assert.ok(process.memoryUsage().heapUsed - before < 60_000_000)
})

test('others have their turn while a large transaction is read', async () => {
  // Each look at the time finds that a slice is over.
  let looks = 0
  let turns = 0
  const others = {
    monotonicMs: () => 1000 * looks++,
    yield: async () => {
      turns += 1
    },
  }
  const edu = `{"edu_type":"m.a","content":{"body":"${'x'.repeat(60_000)}"}}`
  await readTransaction(others, Buffer.from(`{"edus":${list(100, edu)}}`), origin)
  assert.ok(turns > 100)
})
