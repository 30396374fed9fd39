/**
 * What a page says of itself: its OpenGraph properties, or what comes nearest to them.
 *
 * The page is read as a stream of tags up to the end of its head: nothing is built of it, so that no
 * nesting is too deep.
 *
 * https://ogp.me/
 *
 * @module
 */

import { Parser } from 'htmlparser2'

/** How many properties are taken, and how much of each. */
const propertiesMax = 50
const nameLengthMax = 100
const valueLengthMax = 1_000
/** How much is read before it is looked whether the head is over. */
const pieceLength = 16_384

/** How many tags are read: each that is open makes the next one dearer. */
const tagsMax = 5_000

/** What may stand in a head. Anything else begins the body. */
const headTags = new Set([
  'html',
  'head',
  'meta',
  'title',
  'link',
  'script',
  'style',
  'base',
  'noscript',
  'template',
])

/** The properties of a page, by their names: `og:title`, `og:image` and so on. */
export function openGraphOf(html: string): Map<string, string> {
  const properties = new Map<string, string>()
  const fallbacks = new Map<string, string>()
  const note = (to: Map<string, string>, name: string, value: string | undefined) => {
    const text = shortened(value ?? '')
    // The first one of several counts.
    if (text !== '' && !to.has(name) && to.size < propertiesMax) to.set(name, text)
  }
  let title: string | undefined
  let isOver = false
  let tags = 0
  const parser = new Parser({
    onopentag: (tag, attributes) => {
      tags += 1
      if (!headTags.has(tag) || tags > tagsMax) isOver = true
      if (isOver) return
      if (tag === 'title') title ??= ''
      if (tag !== 'meta') return
      const { property = '', name = '', content } = attributes
      const key = (property || name).toLowerCase()
      if (/^(?:og|article|profile):/.test(key) && key.length <= nameLengthMax) {
        note(properties, key, content)
      }
      if (key === 'description') note(fallbacks, 'og:description', content)
      if (key === 'twitter:title') note(fallbacks, 'og:title', content)
      if (key === 'twitter:description') note(fallbacks, 'og:description', content)
      if (key === 'twitter:image') note(fallbacks, 'og:image', content)
    },
    ontext: (text) => {
      if (!isOver && title !== undefined && !fallbacks.has('title')) title += text
    },
    onclosetag: (tag) => {
      if (tag === 'title' && title !== undefined) note(fallbacks, 'title', title)
      if (tag === 'head') isOver = true
    },
  })
  // In pieces, so that it ends where the head does.
  for (let at = 0; at < html.length && !isOver; at += pieceLength) {
    parser.write(html.slice(at, at + pieceLength))
  }
  if (!isOver) parser.end()
  const named = fallbacks.get('og:title') ?? fallbacks.get('title')
  if (named !== undefined) note(properties, 'og:title', named)
  for (const name of ['og:description', 'og:image']) note(properties, name, fallbacks.get(name))
  return properties
}

function shortened(text: string): string {
  const plain = text.replaceAll(/\s+/g, ' ').trim()
  if (plain.length <= valueLengthMax) return plain
  // Half of a character at the end goes as well: no strict reader takes it.
  return `${plain.slice(0, valueLengthMax - 1).replace(/[\ud800-\udbff]$/, '')}…`
}
