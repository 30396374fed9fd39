/**
 * What our policy server lets into a room: rules of the configuration, put to one event.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#policy-servers
 *
 * @module
 */

import { matchesGlob } from '#protocol/glob.ts'
import { serverNameOf } from '#protocol/identifiers/common-format.ts'
import { isJsonObject, type Json, type JsonObject } from '#protocol/json.ts'
import type { Pdu } from '#protocol/pdu.ts'

/** `policy_server` of the configuration. Patterns have `*` and `?` as wildcards; `null` is no limit. */
export interface PolicyRules {
  readonly deniedServers: readonly string[]
  readonly deniedUsers: readonly string[]
  readonly deniedEventTypes: readonly string[]
  readonly deniedMessageTypes: readonly string[]
  /** Pieces of text, whatever their case. */
  readonly deniedWords: readonly string[]
  readonly eventBytesMax: number | null
  readonly mentionsMax: number | null
  readonly clockSkewMaxMs: number | null
  /** From this power level on, nothing of it holds for a user. */
  readonly exemptPowerLevel: number | null
}

/** What is known beside the event. */
export interface PolicyContext {
  readonly now: number
  readonly senderLevel: number | bigint
}

/** Why the event is not welcome; `undefined` if it is. */
export function objectionTo(
  pdu: Pdu,
  rules: PolicyRules,
  { now, senderLevel }: PolicyContext,
): string | undefined {
  if (isFarewell(pdu)) return undefined
  const { exemptPowerLevel } = rules
  if (exemptPowerLevel !== null && senderLevel >= exemptPowerLevel) return undefined
  const { sender, type, content, bytes, origin_server_ts: ts } = pdu
  if (isAny(rules.deniedServers, serverNameOf(sender))) return 'Its server is not welcome.'
  if (isAny(rules.deniedUsers, sender)) return 'Its sender is not welcome.'
  if (isAny(rules.deniedEventTypes, type)) return `Events of the type ${type} are not welcome.`
  const { msgtype } = content
  if (typeof msgtype === 'string' && isAny(rules.deniedMessageTypes, msgtype)) {
    return `Messages of the type ${msgtype} are not welcome.`
  }
  if (exceeds(bytes.length, rules.eventBytesMax)) return 'It is too large.'
  if (exceeds(mentionsIn(content), rules.mentionsMax)) return 'It mentions too many users.'
  if (exceeds(Math.abs(now - ts), rules.clockSkewMaxMs)) {
    return 'It says that it was sent at another time.'
  }
  return hasAny(rules.deniedWords, content) ? 'It has words that are not welcome.' : undefined
}

/** Everybody may leave, and take back a knock or reject an invite. */
export function isFarewell({ type, sender, state_key, content }: Pdu): boolean {
  return type === 'm.room.member' && state_key === sender && content.membership === 'leave'
}

function isAny(patterns: readonly string[], text: string): boolean {
  return patterns.some((pattern) => matchesGlob(pattern, text))
}

function exceeds(value: number, max: number | null): boolean {
  return max !== null && value > max
}

function mentionsIn({ 'm.mentions': mentions }: JsonObject): number {
  const users = isJsonObject(mentions) ? mentions.user_ids : undefined
  return Array.isArray(users) ? users.length : 0
}

/** How many texts of an event are looked at, and how deep it is looked for them. */
const textsMax = 1_000
const depthMax = 10

function hasAny(words: readonly string[], content: JsonObject): boolean {
  if (words.length === 0) return false
  const lowered = words.map((word) => word.toLowerCase())
  const texts: string[] = []
  collectTexts(content, texts, 0)
  return texts.some((text) => {
    const searched = text.toLowerCase()
    return lowered.some((word) => searched.includes(word))
  })
}

/** All texts of the content, since a message can be in many forms: body, HTML, edits, captions. */
function collectTexts(value: Json, texts: string[], depth: number): void {
  if (texts.length >= textsMax || depth > depthMax) return
  if (typeof value === 'string') texts.push(value)
  else if (Array.isArray(value)) for (const one of value) collectTexts(one, texts, depth + 1)
  else if (isJsonObject(value)) {
    for (const one of Object.values(value)) collectTexts(one, texts, depth + 1)
  }
}
