/**
 * The two hashes of an event. The *content hash* covers all of it, is written in the event, and tells
 * whether somebody redacted it. The *reference hash* covers what redaction leaves, and is the event's
 * ID since room version 3.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#calculating-the-content-hash-for-an-event
 *
 * @module
 */

import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { type Base64Alphabet, decodeBase64, withoutPadding } from './base64.ts'
import { type CanonicalMember, canonicalMembers, joinMembers } from './canonical-json.ts'
import type { JsonObject } from './json.ts'
import { redactMembers } from './redaction.ts'
import type { RoomVersion } from './room-version.ts'

/** The content hash of an event of our own, as it stands in `hashes.sha256`. */
export function contentHash(event: JsonObject): string {
  return sha256(contentHashInput(membersOf(event)), 'base64')
}

/** The reference hash of an event, in Base64 of the alphabet asked for. */
export function referenceHash(
  version: RoomVersion,
  event: JsonObject,
  alphabet: Base64Alphabet,
): string {
  return sha256(essentialText(version, event, membersOf(event)), alphabet)
}

/**
 * Whether the hash written in an event is that of its content. The two are compared as bytes: the same
 * hash can be written with padding and without.
 */
export function isContentHash(written: string, members: readonly CanonicalMember[]): boolean {
  const expected = sha256(contentHashInput(members), 'base64')
  if (written === expected) return true
  const bytes = decodeBase64(written)
  return bytes !== undefined && Buffer.from(expected, 'base64').equals(bytes)
}

/**
 * What is signed, and what the reference hash covers: the redacted event without `signatures` and
 * `unsigned`, as canonical JSON.
 */
export function essentialText(
  version: RoomVersion,
  event: JsonObject,
  members: readonly CanonicalMember[],
): string {
  const redacted = redactMembers(version, event, members)
  return joinMembers(redacted.filter(({ key }) => key !== 'signatures'))
}

/** SHA-256 of a text's UTF-8, in unpadded Base64. */
export function sha256(text: string, alphabet: Base64Alphabet): string {
  return withoutPadding(hash('sha256', text, alphabet))
}

/** First, any existing `unsigned`, `signatures`, and `hashes` properties are removed. */
function contentHashInput(members: readonly CanonicalMember[]): string {
  return joinMembers(members.filter(({ key }) => !isOutsideContentHash(key)))
}

function isOutsideContentHash(key: string): boolean {
  return key === 'unsigned' || key === 'signatures' || key === 'hashes'
}

function membersOf(event: JsonObject): readonly CanonicalMember[] {
  const members = canonicalMembers(event)
  assert.ok(members !== undefined, 'the event has no canonical JSON')
  return members
}
