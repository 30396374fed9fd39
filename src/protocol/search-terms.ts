/**
 * What of an event can be searched, and the terms that text is made of.
 *
 * Text in scripts that separate words is taken word by word. In those that do not, each character and
 * each two that follow each other are terms, so that any part of a sentence can be found. Neither case
 * nor accents matter, nor in which form of Unicode something was written.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#server-side-search
 *
 * @module
 */

import { isJsonObject, type Json, type JsonObject } from './json.ts'

export const searchFields = ['content.body', 'content.name', 'content.topic'] as const
export type SearchField = (typeof searchFields)[number]

export interface SearchableText {
  readonly field: SearchField
  readonly text: string
}

/** Longer terms, in UTF-16 units, are known by their beginning. */
const termMax = 64
/** How many different terms of one text count. */
const termsMax = 1_000

/** The text of an event that can be searched, if it is of a type that has some. */
export function searchableText(event: {
  readonly type: Json | undefined
  readonly state_key?: Json | undefined
  readonly content: JsonObject
}): SearchableText | undefined {
  const { type, state_key, content } = event
  if (type === 'm.room.message' && state_key === undefined) {
    return textOf('content.body', [content.body])
  }
  if (type === 'm.room.name' && state_key === '') return textOf('content.name', [content.name])
  if (type !== 'm.room.topic' || state_key !== '') return undefined
  return textOf('content.topic', [content.topic, ...plainTexts(content['m.topic'])])
}

function textOf(
  field: SearchField,
  texts: readonly (Json | undefined)[],
): SearchableText | undefined {
  const text = texts.filter((one) => typeof one === 'string').join('\n')
  return text === '' ? undefined : { field, text }
}

/** The `body` of the `text/plain` representation in `content['m.topic']`. */
function plainTexts(topic: Json | undefined): (Json | undefined)[] {
  const blocks = isJsonObject(topic) ? topic['m.text'] : undefined
  if (!Array.isArray(blocks)) return []
  return (blocks as Json[]).flatMap((block) => {
    if (!isJsonObject(block)) return []
    const { mimetype = 'text/plain', body } = block
    return mimetype === 'text/plain' ? [body] : []
  })
}

/** A text as it is compared: without case, accents, and differences that are not to be seen. */
export function comparableText(text: string): string {
  const plain = text.normalize('NFKD').replaceAll(/[\u0300-\u036f]/g, '')
  return plain.toLowerCase().normalize('NFKC')
}

const unspaced =
  '\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}\\p{Script=Hangul}\\p{Script=Thai}' +
  '\\p{Script=Lao}\\p{Script=Khmer}\\p{Script=Myanmar}ー'
const words = new RegExp(`[${unspaced}]+|[[\\p{L}\\p{N}\\p{M}_]--[${unspaced}]]+`, 'gv')
const isUnspaced = new RegExp(`^[${unspaced}]`, 'v')

const isAscii = /^[\0-\x7f]*$/
const asciiWords = /[a-z0-9_]+/g

/** The words of a text, in its order. Of a script without spaces, a word is all that stands together. */
export function wordsOf(text: string): string[] {
  // Most texts are such, and this takes half of the time.
  if (isAscii.test(text)) return text.toLowerCase().match(asciiWords) ?? []
  return comparableText(text).match(words) ?? []
}

/** The terms of a text, each with how often it is there. */
export function termsOf(text: string): Map<string, number> {
  const terms = new Map<string, number>()
  for (const word of wordsOf(text)) {
    for (const term of termsOfWord(word)) {
      if (terms.size >= termsMax && !terms.has(term)) return terms
      terms.set(term, (terms.get(term) ?? 0) + 1)
    }
  }
  return terms
}

function termsOfWord(word: string): string[] {
  if (word.charCodeAt(0) < 0x80 || !isUnspaced.test(word))
    return [word.slice(0, termMax).toWellFormed()]
  const characters = [...word]
  const pairs = characters.slice(1).map((character, index) => `${characters[index]}${character}`)
  return [...characters, ...pairs]
}

/** What an event must have to match: of a script without spaces, the pairs say more than the characters. */
export function wantedTerms(text: string): string[] {
  const wanted = wordsOf(text).flatMap((word) => {
    const terms = termsOfWord(word)
    return terms.length > 1 ? terms.filter((term) => [...term].length > 1) : terms
  })
  return [...new Set(wanted)]
}

/** How many different terms a user is found by under one name. */
const nameTermsMax = 32

/** The terms of the name of a user, or of the part of an ID before the colon. */
export function nameTerms(name: string): string[] {
  return [...termsOf(spaced(name)).keys()].slice(0, nameTermsMax)
}

/** The words of such a name, and of what is searched for there. */
export function nameWords(text: string): string[] {
  return wordsOf(spaced(text))
}

/** What a user must be found by if a search is for these words: the one that is likely to be the rarest. */
export function rarestTerm(words: readonly string[]): string | undefined {
  const terms = words.flatMap((word) => wantedTerms(word))
  return terms.toSorted((a, b) => b.length - a.length)[0]
}

/**
 * Whether some word begins with the one that is searched for. In scripts without spaces it may stand
 * anywhere, for where a word begins cannot be seen there.
 */
export function isAmong(wanted: string, words: readonly string[]): boolean {
  return words.some((word) =>
    isUnspaced.test(wanted) ? word.includes(wanted) : word.startsWith(wanted),
  )
}

/** In names, unlike elsewhere, an underscore stands for a space. */
function spaced(text: string): string {
  return text.replaceAll('_', ' ')
}
