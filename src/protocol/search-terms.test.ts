import assert from 'node:assert/strict'
import { test } from 'node:test'
import { searchableText, termsOf, wantedTerms, wordsOf } from './search-terms.ts'

test('words are the same however they are written', () => {
  const expected = ['grosse', 'cafes', 'in', 'zurich', '2']
  assert.deepEqual(wordsOf('Grosse CAFÉS (in Zürich) – ②!'), expected)
  assert.deepEqual(wordsOf('Grosse Cafe\u0301s in Zu\u0308rich 2'), expected)
  assert.deepEqual(wordsOf('Ａｌｉｃｅ'), ['alice'])
  assert.deepEqual(wordsOf('ガ'), wordsOf('カ\u3099'))
  assert.deepEqual(wordsOf('!? …'), [])
  const ascii = String.fromCharCode(...Array(128).keys())
  const letters = 'abcdefghijklmnopqrstuvwxyz'
  assert.deepEqual(wordsOf(ascii), ['0123456789', letters, '_', letters])
  assert.deepEqual(wordsOf(`é ${ascii}`), ['e', '0123456789', letters, '_', letters])
})

test('text without spaces is found by its characters and pairs of them', () => {
  const terms = termsOf('東京都 tokyo')
  assert.deepEqual([...terms.keys()], ['東', '京', '都', '東京', '京都', 'tokyo'])
  assert.deepEqual(wantedTerms('京都'), ['京都'])
  assert.deepEqual(wantedTerms('京'), ['京'])
  assert.deepEqual(wantedTerms('東京都 Tokyo'), ['東京', '京都', 'tokyo'])
})

test('terms are counted, and are not without limit', () => {
  assert.deepEqual(
    [...termsOf('a b A a')],
    [
      ['a', 3],
      ['b', 1],
    ],
  )
  const many = Array.from({ length: 3_000 }, (_, index) => `w${index}`).join(' ')
  assert.equal(termsOf(many).size, 1_000)
  assert.deepEqual([...termsOf('x'.repeat(500)).keys()], ['x'.repeat(64)])
  // A character is not cut in two.
  const gothic = `${'x'.repeat(63)}\u{10330}`
  assert.deepEqual([...termsOf(gothic).keys()], [`${'x'.repeat(63)}\ufffd`])
})

test('what can be searched is what the spec lists', () => {
  const message = { type: 'm.room.message', content: { body: 'hello' } }
  assert.deepEqual(searchableText(message), { field: 'content.body', text: 'hello' })
  const name = { type: 'm.room.name', state_key: '', content: { name: 'Room' } }
  assert.deepEqual(searchableText(name), { field: 'content.name', text: 'Room' })
  const topic = {
    type: 'm.room.topic',
    state_key: '',
    content: {
      topic: 'one',
      'm.topic': {
        'm.text': [{ body: 'two' }, { mimetype: 'text/html', body: '<b>three</b>' }],
      },
    },
  }
  assert.deepEqual(searchableText(topic), { field: 'content.topic', text: 'one\ntwo' })
  for (const other of [
    { type: 'm.room.encrypted', content: { body: 'hello' } },
    { type: 'm.room.message', content: { body: 5 } },
    { type: 'm.room.message', content: {} },
    { type: 'm.room.name', state_key: 'x', content: { name: 'Room' } },
  ]) {
    assert.equal(searchableText(other), undefined)
  }
})
