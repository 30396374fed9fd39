import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { elementsOf, memberSpans, type Span, scanObject, scanSecondOfTwo } from './json-spans.ts'

const objects = [
  ['{}', {}],
  [' { } ', {}],
  ['{"a":1}', { a: '1' }],
  ['{"a" : [1, 2] , "b":{"c":"}"} }\n', { a: '[1, 2]', b: '{"c":"}"}' }],
  ['{"a":"\\"","b":"\\\\"}', { a: '"\\""', b: '"\\\\"' }],
  ['{"a":"]},{[\\"","b":true}', { a: '"]},{[\\""', b: 'true' }],
  ['{"\\u0061":null,"":-1.5e+3}', { a: 'null', '': '-1.5e+3' }],
  ['{"__proto__":1}', Object.fromEntries([['__proto__', '1']])],
  ['{"é":"😀"}', { é: '"😀"' }],
] as const

for (const [json, expected] of objects) {
  test(`the members of ${JSON.stringify(json)}`, () => assert.deepEqual(membersOf(json), expected))
}

const arrays = [
  ['[]', []],
  [' [ ] ', []],
  ['[1]', ['1']],
  ['[ {"a":[]} , "]" ,[[1],{}],null ]', ['{"a":[]}', '"]"', '[[1],{}]', 'null']],
] as const

for (const [json, expected] of arrays) {
  test(`the elements of ${json}`, () => assert.deepEqual(elements(json), expected))
}

const neither = [
  '',
  ' ',
  '1',
  '"a"',
  '{',
  '[',
  '{}}',
  '[]]',
  '{} {}',
  '\ufeff{}',
  '\ufeff[]',
  '{"a"}',
  '{"a":}',
  '{"a":1,}',
  '{,}',
  '{a:1}',
  "{'a':1}",
  '{1:1}',
  '{"a":1 "b":2}',
  '{"a":1 2}',
  '{"a"::1}',
  '{"a":1,"a":2}',
  '{"a":1,"\\u0061":2}',
  '{"\\x":1}',
  '{"\\ud800":1}',
  '{"a\\":1}',
  '{"a":[}',
  '{"a":[1}]',
  '{"a":{]}',
  '{"a":"}',
  '{"a":"\\"}',
  '{"a":["]}',
  '[1,]',
  '[,1]',
  '[1 2]',
  '[1}',
  '[{]}',
  '["]',
  `[${'['.repeat(5000)}${']'.repeat(5000)}]`,
]

for (const json of neither) {
  test(`${JSON.stringify(json).slice(0, 40)} has neither`, () => {
    assert.equal(membersOf(json), undefined)
    assert.equal(elements(json), undefined)
  })
}

test('parts within parts', () => {
  const bytes = Buffer.from('{"pdus":[{"a":1},{"b":[2]}],"origin":"h"}')
  const pdus = elementsOf(bytes, memberSpans(bytes)?.get('pdus'))
  assert.deepEqual(
    pdus?.map((pdu) => Buffer.from(pdu).toString()),
    ['{"a":1}', '{"b":[2]}'],
  )
  assert.equal(elementsOf(bytes, memberSpans(bytes)?.get('origin')), undefined)
})

test('a part that is malformed by itself does not hide the others', () => {
  assert.deepEqual(elements('[{"a":01},{"b":tru,,},{"c":1}]'), [
    '{"a":01}',
    '{"b":tru,,}',
    '{"c":1}',
  ])
})

test('the parts of any JSON are its values', () => {
  const object = fc.dictionary(
    fc.string({ unit: 'binary' }),
    fc.jsonValue({ stringUnit: 'binary' }),
  )
  fc.assert(
    fc.property(object, fc.constantFrom(0, 2), (value, indent) => {
      const parts = Object.entries(membersOf(JSON.stringify(value, undefined, indent)) ?? {})
      const values = Object.fromEntries(parts.map(([key, part]) => [key, JSON.parse(part)]))
      assert.deepEqual(values, JSON.parse(JSON.stringify(value)))
      const list = elements(JSON.stringify(Object.values(value), undefined, indent))
      assert.deepEqual(
        list?.map((part) => JSON.parse(part)),
        JSON.parse(JSON.stringify(Object.values(value))),
      )
    }),
  )
})

test('what is taken apart is JSON if each part is', () => {
  const piece = fc.constantFrom(...'{}[]",:\\ 1', '"a"', '"b"', ':1', ',"c":')
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 10 }), (pieces) => {
      const json = `{${pieces.join('')}}`
      const members = membersOf(json)
      if (members === undefined || !Object.values(members).every(isJson)) return
      assert.deepEqual(Object.keys(members).sort(), Object.keys(JSON.parse(json)).sort())
    }),
    { numRuns: 5000 },
  )
})

/** What a scan in slices of ten bytes finds, and how often it pauses. */
function scanned(json: string, ...lists: string[]) {
  const bytes = Buffer.from(json)
  return resultOf(bytes, scanObject(bytes, new Set(lists), { sliceBytes: 10 }))
}

function resultOf(bytes: Buffer, scan: ReturnType<typeof scanObject>) {
  const text = ({ start, end }: Span) => bytes.subarray(start, end).toString()
  for (let pauses = 0; ; pauses++) {
    const step = scan.next()
    if (!step.done) continue
    if (step.value === undefined) return undefined
    const { members, elements } = step.value
    return {
      pauses,
      members: Object.fromEntries([...members].map(([key, span]) => [key, text(span)])),
      elements: Object.fromEntries([...elements].map(([key, spans]) => [key, spans.map(text)])),
    }
  }
}

test('a large object is scanned in slices, its lists with it', () => {
  assert.deepEqual(
    scanned('{"a": [ {"b":"]"} ,2, "ccccccccccc" ] ,"e":[], "d":[1,2]}', 'a', 'e', 'x'),
    {
      pauses: 2,
      members: { a: '[ {"b":"]"} ,2, "ccccccccccc" ]', e: '[]', d: '[1,2]' },
      elements: { a: ['{"b":"]"}', '2', '"ccccccccccc"'], e: [] },
    },
  )
  // A slice ends with the element that reaches its end.
  assert.equal(scanned('{"a":["2345678"]}', 'a')?.pauses, 0)
  assert.equal(scanned('{"a":["23456789"]}', 'a')?.pauses, 1)
  assert.deepEqual(scanned('{"a":{}}', 'a'), { pauses: 0, members: { a: '{}' }, elements: {} })
})

test('a scan in slices finds what a scan without them finds', () => {
  for (const [json, expected] of objects) assert.deepEqual(scanned(json, 'a')?.members, expected)
  for (const json of neither) assert.equal(scanned(json, 'a'), undefined, json)
  for (const json of ['{"a":[1}', '{"a":[1,]}', '{"a":[,]}', '{"a":[1]', '{"a":[1],"a":[]}']) {
    assert.equal(scanned(json, 'a'), undefined, json)
  }
})

test('an object in an array of two is scanned in slices, too', () => {
  const second = (json: string) => {
    const bytes = Buffer.from(json)
    return resultOf(bytes, scanSecondOfTwo(bytes, new Set(['a']), { sliceBytes: 10 }))
  }
  assert.deepEqual(second(' [ 200 , {"a":["2345678","2345678",1],"b":[1]} ] '), {
    pauses: 1,
    members: { a: '["2345678","2345678",1]', b: '[1]' },
    elements: { a: ['"2345678"', '"2345678"', '1'] },
  })
  const none = [
    '{"a":1}',
    '[]',
    '[200]',
    '[200,[]]',
    '[200 {}]',
    '[200,{}',
    '[200,{},1]',
    '[200,{}]1',
  ]
  for (const json of [...none, '[,{}]', '[200,{"a":[1}]', '']) {
    assert.equal(second(json), undefined, json)
  }
})

test('a part that takes too long to pass over is refused', () => {
  const part = (length: number) => `"${'a'.repeat(length - 2)}"`
  const most = 8_388_608
  assert.ok(scanned(`{"a":[${part(most)},${part(most)}],"b":1}`, 'a'))
  assert.equal(scanned(`{"a":[${part(most + 1)}]}`, 'a'), undefined)
  assert.equal(scanned(`{"a":[${part(most)}]}`), undefined)
  assert.equal(scanned(`{"a":{"b":${part(most)}}}`, 'a'), undefined)
})

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

function membersOf(json: string): Record<string, string> | undefined {
  const bytes = Buffer.from(json)
  const members = memberSpans(bytes)
  return (
    members &&
    Object.fromEntries(
      [...members].map(([key, { start, end }]) => [key, bytes.subarray(start, end).toString()]),
    )
  )
}

function elements(json: string): string[] | undefined {
  return elementsOf(Buffer.from(json))?.map((bytes) => Buffer.from(bytes).toString())
}
