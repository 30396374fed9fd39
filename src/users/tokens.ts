/**
 * Tokens: opaque, with a prefix by which leaked ones are recognised and a checksum by which a text
 * that was never a token is refused without a look into the store. Stored as hashes only.
 *
 * @module
 */

import { hash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import type { Random } from '#io/random.ts'

export type TokenKind = 'access' | 'refresh' | 'login' | 'openid'

const prefixes: Record<TokenKind, string> = {
  access: 'hansa_at_',
  refresh: 'hansa_rt_',
  login: 'hansa_lt_',
  openid: 'hansa_ot_',
}

const secretBytes = 24
const secretLength = 38
const checksumLength = 7

export function makeToken(random: Random, kind: TokenKind): string {
  const secret = base36(random.bytes(secretBytes)).padStart(secretLength, '0')
  const unsealed = `${prefixes[kind]}${secret}`
  return `${unsealed}${checksum(unsealed)}`
}

/** Whether `text` has the form of a token of this kind, so that it may be one. */
export function isToken(kind: TokenKind, text: string): boolean {
  const unsealed = text.slice(0, -checksumLength)
  return (
    text.length === prefixes[kind].length + secretLength + checksumLength &&
    text.startsWith(prefixes[kind]) &&
    text.slice(-checksumLength) === checksum(unsealed)
  )
}

/** What is stored of a token. */
export function hashOf(token: string): string {
  return hash('sha256', token)
}

/** A random word of lower-case letters and digits. */
export function randomWord(random: Random, length: number): string {
  return base36(random.bytes(length)).padStart(length, '0').slice(0, length)
}

function checksum(text: string): string {
  return crc32(text).toString(36).padStart(checksumLength, '0')
}

function base36(bytes: Uint8Array): string {
  return BigInt(`0x${Buffer.from(bytes).toString('hex')}`).toString(36)
}
