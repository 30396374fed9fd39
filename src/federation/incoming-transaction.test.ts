import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import { readTransaction, roomIdOfPdu } from './incoming-transaction.ts'

const origin = 'there' as ServerName

function check(body: string): string {
  try {
    const { pdus, edus } = readTransaction(Buffer.from(body), origin)
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
  test(`transaction ${body.slice(0, 90)} -> ${outcome}`, () => {
    assert.equal(check(body), outcome)
  })
}

test('fifty PDUs are let through', () => {
  assert.equal(readTransaction(Buffer.from(`{"pdus":${list(50, '1')}}`), origin).pdus.length, 50)
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
