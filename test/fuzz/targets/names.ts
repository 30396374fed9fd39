/**
 * Identifiers, patterns and headers.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { matchesGlob } from '#protocol/glob.ts'
import { localpartOf, serverNameOf } from '#protocol/identifiers/common-format.ts'
import { parseEventId, parseEventIdIn } from '#protocol/identifiers/event-id.ts'
import { algorithmOf, parseKeyId } from '#protocol/identifiers/key-id.ts'
import { parseMxcUri } from '#protocol/identifiers/mxc-uri.ts'
import { parseRoomAlias } from '#protocol/identifiers/room-alias.ts'
import { parseRoomId, parseRoomIdIn, serverNameOfRoomId } from '#protocol/identifiers/room-id.ts'
import { parseServerName, splitServerName } from '#protocol/identifiers/server-name.ts'
import {
  isCompliantUserId,
  isLocalpart,
  parseUserId,
  userIdFor,
} from '#protocol/identifiers/user-id.ts'
import { charactersOf, matchesWhole, matchesWords } from '#protocol/push-rules/text-pattern.ts'
import { roomVersions } from '#protocol/room-version.ts'
import { isServerAllowed, readServerAcl } from '#protocol/server-acl.ts'
import { formatXMatrix, parseXMatrix } from '../../../src/federation/x-matrix.ts'
import { contentDispositionOf, fileNameIn } from '../../../src/http/content-disposition.ts'
import { firstLine, type Target, textOf } from '../target.ts'

const hash = 'Nhcu5BS-UMnFX7hBVfVSoXiD7OgH6iRT-xyIuqDnpYQ'

export const identifiers: Target = {
  name: 'identifiers',
  seeds: [
    'matrix.org:8448',
    '1.2.3.4:80',
    '[1:2:3:4:5:6:7.8.9.10]:8448',
    '[::ffff:1.2.3.4]',
    '@user_1=/+.-:h',
    '!opaque:[::1]:8448',
    '#älias:h:1',
    '$opaque:h',
    `!${hash}`,
    `$${hash}`,
    'mxc://h:8448/a-Z_9',
    'ed25519:auto',
    `@${'a'.repeat(252)}:h`,
  ],
  words: ['[', ']', '::', '0x7f', '256', '.', 'é', '@', '#', '!', '$', 'mxc://', '%2e%2e', '+'],
  run(input) {
    const text = textOf(input)
    checkServerName(text)
    for (const parse of [parseUserId, parseRoomAlias]) {
      const id = parse(text)
      if (id === undefined) continue
      checkOpaque(id, text)
      const server = serverNameOf(id)
      assert.equal(parseServerName(server), server)
      assert.equal(`${text.charAt(0)}${localpartOf(id)}:${server}`, text)
    }
    const userId = parseUserId(text)
    if (userId !== undefined && isLocalpart(localpartOf(userId))) {
      assert.equal(userIdFor(localpartOf(userId), serverNameOf(userId)), userId)
      assert.ok(isCompliantUserId(userId))
    }
    const roomId = parseRoomId(text)
    if (roomId !== undefined) {
      checkOpaque(roomId, text)
      const server = serverNameOfRoomId(roomId)
      if (server !== undefined) assert.equal(parseServerName(server), server)
    }
    const eventId = parseEventId(text)
    if (eventId !== undefined) checkOpaque(eventId, text)
    for (const version of roomVersions.values()) {
      const inVersion = parseRoomIdIn(version, text)
      if (inVersion !== undefined) assert.equal(roomId, inVersion)
      const eventIn = parseEventIdIn(version, text)
      if (eventIn !== undefined) assert.equal(eventId, eventIn)
    }
    const keyId = parseKeyId(text)
    if (keyId !== undefined) assert.ok(text.startsWith(`${algorithmOf(keyId)}:`))
    const mxc = parseMxcUri(text)
    if (mxc !== undefined) {
      assert.equal(`mxc://${mxc.serverName}/${mxc.mediaId}`, text)
      assert.match(mxc.mediaId, /^[A-Za-z0-9_-]{1,255}$/)
      assert.equal(parseServerName(mxc.serverName), mxc.serverName)
    }
  },
}

function checkOpaque(id: string, text: string): void {
  assert.equal(id, text)
  assert.ok(Buffer.byteLength(id) <= 255 && !id.includes('\0') && id.isWellFormed())
}

/** The grammar of the appendix, and that a name put together from its parts is the same one. */
function checkServerName(text: string): void {
  const address = splitServerName(text)
  assert.equal(parseServerName(text), address === undefined ? undefined : text)
  if (address === undefined) return
  const { kind, host, port } = address
  const shown = kind === 'ipv6' ? `[${host}]` : host
  assert.equal(text.slice(0, shown.length), shown)
  const rest = text.slice(shown.length)
  assert.match(rest, port === undefined ? /^$/ : /^:[0-9]{1,5}$/)
  if (port !== undefined) assert.equal(Number(rest.slice(1)), port)
  if (kind === 'dns') assert.match(host, /^(?=.*[0-9A-Za-z])[0-9A-Za-z.-]{1,255}$/)
  if (kind === 'ipv6') assert.ok(URL.canParse(`https://${shown}/`), 'a literal is an address')
  // IPv4 literals must be a sequence of four decimal numbers in the range 0 to 255.
  if (kind === 'ipv4') {
    const numbers = host.split('.')
    assert.equal(numbers.length, 4)
    for (const number of numbers) assert.ok(/^[0-9]{1,3}$/.test(number) && Number(number) <= 255)
  }
}

export const xMatrix: Target = {
  name: 'x-matrix',
  seeds: [
    'X-Matrix origin="a.com",destination="b.com",key="ed25519:1",sig="abc"',
    'x-matrix  ORIGIN=a.com:8448 ,\tkey=ed25519:1, sig="a\\"b\\\\c",,unknown=x',
  ],
  words: ['X-Matrix ', 'origin=', 'destination=', 'key=', 'sig=', '",', '\\"', ',,', ' = ', '\xff'],
  run(input) {
    // As Node gives headers: a character for each byte.
    const read = parseXMatrix(Buffer.from(input).toString('latin1'))
    if (read === undefined) return
    const values = { ...read, destination: read.destination ?? 'b.com' }
    if (Object.values(values).some((value) => /["\\]/.test(value))) return
    assert.deepEqual(parseXMatrix(formatXMatrix(values)), values)
  },
}

export const patterns: Target = {
  name: 'patterns',
  seeds: [
    'a*b?\nxaxxbz',
    '*.example.com\nfoo.example.com',
    'l?ne*\nthe LUNE bar',
    '**?*\n\u{1f600}',
    // Longer than a word of bits.
    `${'ab'.repeat(40)}?*c\nx ${'ab'.repeat(41)}dc`,
  ],
  words: ['*', '?', '*?*', '\u{1f600}', '_', 'ß', 'İ'],
  run(input, aside) {
    const { line: pattern, rest } = firstLine(input)
    const text = textOf(rest)
    // The plain way takes the product of the lengths, from each place in the text on.
    if (pattern.length * text.length ** 2 > 1_000_000) return
    const isGlob = aside(() => plainMatch([...pattern], [...text]))
    assert.equal(matchesGlob(pattern, text), isGlob, 'glob')
    const characters = charactersOf(text)
    const [p, t] = [[...pattern.toLowerCase()], [...text.toLowerCase()]]
    const isWhole = aside(() => plainMatch(p, t))
    assert.equal(matchesWhole(pattern, characters), isWhole, 'whole')
    const hasWords = aside(() => plainWords(p, t))
    assert.equal(matchesWords(pattern, characters), hasWords, 'words')
    const acl = readServerAcl({ allow: [pattern], deny: [] })
    const server = parseServerName(text.trim())
    if (server !== undefined) isServerAllowed(acl, server)
  },
}

/** By a table: whether so much of the pattern matches so much of the text. */
function plainMatch(pattern: readonly string[], text: readonly string[]): boolean {
  return endsOf(pattern, text, 0).has(text.length)
}

/** Where matches of the whole pattern end that begin at `from`. */
function endsOf(pattern: readonly string[], text: readonly string[], from: number): Set<number> {
  let ends = new Set([from])
  for (const want of pattern) {
    const next = new Set<number>()
    for (const end of ends) {
      if (want === '*') for (let at = end; at <= text.length; at++) next.add(at)
      else if (end < text.length && (want === '?' || want === text[end])) next.add(end + 1)
    }
    ends = next
  }
  return ends
}

function plainWords(pattern: readonly string[], text: readonly string[]): boolean {
  const isWord = (at: number) => /^[a-z0-9_]$/.test(text[at] ?? '')
  const isBoundary = (at: number) =>
    at === 0 || at === text.length || !isWord(at - 1) || !isWord(at)
  for (let from = 0; from <= Math.min(text.length, 60); from++) {
    if (!isBoundary(from)) continue
    for (const end of endsOf(pattern, text, from)) if (isBoundary(end)) return true
  }
  return text.length > 60 ? matchesWords(pattern.join(''), charactersOf(text.join(''))) : false
}

export const contentDisposition: Target = {
  name: 'content-disposition',
  seeds: [
    'inline; filename="a b\\"c.png"',
    "attachment; filename*=utf-8''%E4%BD%A0%20x; filename=plain.txt",
  ],
  words: ['filename', 'filename*=', "utf-8''", '%e4', '; ', '\\"', '%zz', '\x7f'],
  run(input) {
    const header = Buffer.from(input).toString('latin1')
    const name = fileNameIn(header)
    if (name !== undefined) {
      assert.ok(name.length <= 255)
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there.
      assert.doesNotMatch(name, /[\x00-\x1f\x7f]/)
    }
    const given = name ?? textOf(input).slice(0, 200)
    const written = contentDispositionOf('image/png', given)
    assert.match(written, /^[\x20-\x7e]*$/, 'a header of ASCII in one line')
    if (name !== undefined && name !== '' && name.isWellFormed()) {
      assert.equal(fileNameIn(written), name)
    }
  },
}
