import assert from 'node:assert/strict'
import { test } from 'node:test'
import { framedMedium, mediumIn } from './multipart.ts'

const type = 'multipart/mixed; boundary=xyz'
const head = '--xyz\r\nContent-Type: application/json\r\n\r\n{}\r\n--xyz\r\n'

test('what is framed is found again, byte for byte', () => {
  const medium = Buffer.from('\r\n--xy\r\n\r\n\0binary')
  const kind = { contentType: 'image/png', contentDisposition: 'inline' }
  const { contentType, before, after } = framedMedium('b'.repeat(70), kind)
  const found = mediumIn(contentType, Buffer.concat([before, medium, after]))
  assert.ok('body' in found)
  assert.deepEqual(Buffer.from(found.body), medium)
  assert.equal(found.headers.get('content-type'), 'image/png')
})

// What a server sends to be expensive, and what is said of it.
const bombs: [what: string, contentType: string, body: string, problem: string][] = [
  ['a million headers', type, `${head}${'a: b\r\n'.repeat(1_000_000)}\r\nx\r\n--xyz--`, 'no end'],
  ['33 headers', type, `${head}${'a: b\r\n'.repeat(33)}\r\nx\r\n--xyz--`, 'too many headers'],
  ['a header without end', type, `${head}a: ${'b'.repeat(1_000_000)}`, 'no end'],
  ['a million openings', type, '--xyz\r\n'.repeat(1_000_000), 'no end'],
  ['a boundary of 71', `multipart/mixed; boundary=${'b'.repeat(71)}`, head, 'not multipart'],
  ['a million parameters', `multipart/mixed${';x=y'.repeat(1_000_000)}`, head, 'not multipart'],
]

for (const [what, contentType, body, problem] of bombs) {
  test(`an answer with ${what} is refused`, () => {
    const found = mediumIn(contentType, Buffer.from(body, 'latin1'))
    assert.ok('problem' in found && found.problem.includes(problem), JSON.stringify(found))
  })
}

test('of a million parts the second is the medium, with what follows it', () => {
  const body = Buffer.from(`${head}\r\nx${'\r\n--xyz\r\n\r\ny'.repeat(1_000_000)}\r\n--xyz--`)
  const found = mediumIn(type, body)
  assert.ok('body' in found)
  assert.equal(Buffer.from(found.body.subarray(0, 8)).toString(), 'x\r\n--xyz')
})
