/**
 * What the mutants of a source are.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { equivalentOf, equivalents } from './mutants/equivalents.ts'
import { codeOnly, mutantsOf } from './mutants/mutate.ts'
import { allTasks } from './mutants/subjects.ts'

const cases: readonly {
  readonly name: string
  readonly source: string
  readonly mutants: readonly string[]
}[] = [
  {
    name: 'a comparison is another, and a condition holds always or never',
    source: 'if (level < 50) refuse()\n',
    mutants: [
      'if (true) refuse()',
      'if (false) refuse()',
      'if (level <= 50) refuse()',
      'if (level < 51) refuse()',
    ],
  },
  {
    name: 'what is joined and denied',
    source: 'const isIn = !out && list.some(matches)\n',
    mutants: [
      'const isIn = out && list.some(matches)',
      'const isIn = !out || list.some(matches)',
      'const isIn = !out && list.every(matches)',
    ],
  },
  { name: 'nothing of types', source: 'const all: Map<string, 1 | 2> = new Map()\n', mutants: [] },
  {
    name: 'nothing of comments and texts',
    source: "/** More than 1 === 2. */ say('if (true) 1 < 2', `3 && 4`) // true\n",
    mutants: [],
  },
  {
    name: 'nothing of regular expressions',
    source: 'const digits = /[0-9]{1,2} < !a/\n',
    mutants: [],
  },
]

for (const { name, source, mutants } of cases) {
  test(name, () => {
    assert.deepEqual(
      mutantsOf(source).map(({ text }) => text.trim()),
      mutants,
    )
  })
}

test('code stays at its place', () => {
  const source = "// one\nconst a = 'b' // c\nuse(a)\n"
  const code = codeOnly(source)
  assert.equal(code.length, source.length)
  assert.equal(code.indexOf('use(a)'), source.indexOf('use(a)'))
})

test('a mutant has its lines, as one', () => {
  const [always] = mutantsOf('say()\nif (\n  a &&\n  b\n) refuse() // no\nsay()\n')
  assert.equal(always?.lineWas, 'if ( a && b ) refuse() // no')
  assert.equal(always?.lineIs, 'if (true) refuse() // no')
})

test('each of those that make no difference is a mutant, and one alone', () => {
  const listed = equivalents.flatMap(({ changes }) => changes)
  const counts = new Map(listed.map((change) => [change, 0]))
  for (const task of allTasks()) {
    const found = equivalentOf(task)
    if (found !== undefined) counts.set(found, (counts.get(found) ?? 0) + 1)
  }
  for (const [[was, is], count] of counts) assert.equal(count, 1, `${is} for ${was}`)
})
