/**
 * What can be said of a server's signing keys: whether its answer proves itself, until when it holds,
 * and whether it says the same as before.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#publishing-keys
 *
 * @module
 */

import { encodeBase64 } from '#protocol/base64.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import type { Json } from '#protocol/json.ts'
import { isJsonObject } from '#protocol/json.ts'
import { type PublishedServerKey, readServerKeys } from '../server-keys-answer.ts'
import { bad, dateText, durationText, type Finding, good, note } from './finding.ts'

/** A key that was seen before. */
export interface SeenKey {
  readonly keyId: string
  /** Unpadded Base64. */
  readonly key: string
}

/** Originating servers should avoid returning responses that expire in less than an hour. */
const shortestMs = 3_600_000

export function keyFindings(
  answer: Json,
  server: ServerName,
  { now, seen }: { readonly now: number; readonly seen: readonly SeenKey[] },
): Finding[] {
  const read = readServerKeys(answer, server, now)
  if (!read.ok) {
    return [
      bad('keys', `The keys cannot be used: ${read.reason}.`, {
        mend: 'Nobody can check what this server signs until its answer to /_matrix/key/v2/server is right: its own name, its own key, signed with that key.',
      }),
    ]
  }
  return [
    usable(read.keys),
    validityFinding(isJsonObject(answer) ? Number(answer.valid_until_ts) : 0, now),
    ...changes(read.keys, seen),
  ]
}

function usable(keys: readonly PublishedServerKey[]): Finding {
  const current = keys.filter(({ expired }) => !expired)
  const old = keys.filter(({ expired }) => expired)
  const listed = current.map(({ keyId, key }) => `${keyId} ${encodeBase64(key)}`)
  const before =
    old.length === 0
      ? 'It names no old keys'
      : `Old keys: ${old
          .slice(0, 10)
          .map(({ keyId, validUntilTs }) => `${keyId} until ${dateText(validUntilTs)}`)
          .join(', ')}`
  return good('keys', `It signs with ${listed.join(', ')}, as it says and proves. ${before}.`, {
    detail: {
      keys: keys.map(({ keyId, key, validUntilTs, expired }) => ({
        key_id: keyId,
        key: encodeBase64(key),
        valid_until_ts: validUntilTs,
        expired,
      })),
    },
  })
}

function validityFinding(untilTs: number, now: number): Finding {
  const until = dateText(untilTs)
  if (untilTs < now) {
    return bad('keys', `Its answer holds no longer: valid_until_ts is ${until}.`, {
      mend: 'Servers refuse what it signs from then on. It must sign a new answer; see also its clock.',
    })
  }
  const left = durationText(untilTs - now)
  if (untilTs - now < shortestMs) {
    return note('keys', `Its answer holds only for another ${left}, until ${until}.`, {
      mend: 'A server should renew its answer an hour before it ends.',
    })
  }
  return good('keys', `Its answer holds for another ${left}, until ${until}.`)
}

/** A key ID belongs to the first key that was seen under it. */
function changes(keys: readonly PublishedServerKey[], seen: readonly SeenKey[]): Finding[] {
  if (seen.length === 0) return [note('keys', 'We have not known any key of it before.')]
  const before = new Map(seen.map(({ keyId, key }) => [keyId, key]))
  const changed = keys.filter(({ keyId, key }) => {
    const known = before.get(keyId)
    return known !== undefined && known !== encodeBase64(key)
  })
  if (changed.length > 0) {
    const ids = changed.map(({ keyId }) => keyId).join(', ')
    return [
      bad('keys', `Under ${ids} we know another key, and believe that one only.`, {
        mend: 'A key that is changed needs a new ID, and the old one belongs into old_verify_keys. If its operators know nothing of a change, somebody else answers in their name.',
      }),
    ]
  }
  const added = keys.filter(({ keyId, expired }) => !expired && !before.has(keyId))
  if (added.length === 0) return [good('keys', 'These are the keys that we know it by.')]
  return [note('keys', `We have not seen ${added.map(({ keyId }) => keyId).join(', ')} before.`)]
}
