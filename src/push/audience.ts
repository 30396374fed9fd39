/**
 * Whom an event notifies, and how, as it is stored: short, since nearly always it is everybody in the
 * room.
 *
 * It is a JSON list of groups, each `[how, whom]`. `whom` is a list of user IDs, or `null` for all others
 * who are in the room. `how` is the actions as JSON, a digit for such as are frequent, or `null` for
 * nothing. The sender is never notified.
 *
 * @module
 */

import type { UserId } from '#protocol/identifiers/ids.ts'
import type { PushAction } from '#protocol/push-rules/ruleset.ts'

type Group = readonly [how: string | null, whom: readonly string[] | null]

/** Actions of the default rules. Stored: the places stay what they are. */
const frequent: readonly string[] = [
  '["notify"]',
  '["notify",{"set_tweak":"sound","value":"default"}]',
  '["notify",{"set_tweak":"sound","value":"default"},{"set_tweak":"highlight"}]',
  '["notify",{"set_tweak":"highlight"}]',
  '["notify",{"set_tweak":"sound","value":"ring"}]',
]

/** Users who are notified in the same way; `undefined` for those who are not. */
export interface AudienceGroup {
  readonly actions: readonly PushAction[] | undefined
  readonly members: readonly UserId[]
  /** Those who are not in the room. */
  readonly outsiders: readonly UserId[]
}

/** All members of the room but the sender are in one of the groups. */
export function packAudience(groups: readonly AudienceGroup[]): string {
  const sizes = groups.map(({ members }) => members.length)
  const largest = sizes.indexOf(Math.max(...sizes))
  const packed: Group[] = []
  let rest: string | null = null
  for (const [index, { actions, members, outsiders }] of groups.entries()) {
    const how = actions === undefined ? null : packActions(actions)
    const isRest = index === largest && members.length > 0
    if (isRest) rest = how
    const whom = [...(isRest ? [] : members), ...(actions === undefined ? [] : outsiders)]
    if (whom.length > 0) packed.push([how, whom])
  }
  // Who is in no group is not notified.
  const listed = rest === null ? packed.filter(([how]) => how !== null) : packed
  return JSON.stringify(rest === null ? listed : [...listed, [rest, null]])
}

function packActions(actions: readonly PushAction[]): string {
  const json = JSON.stringify(actions)
  const place = frequent.indexOf(json)
  return place === -1 ? json : String(place)
}

const readActions = frequent.map((json): readonly PushAction[] => JSON.parse(json))

function unpackActions(packed: string): readonly PushAction[] {
  return readActions[Number(packed)] ?? JSON.parse(packed)
}

/** How an event notifies a user who did not send it; `undefined` if it does not. */
export function actionsFor(
  audience: string,
  userId: UserId,
  { isMember }: { readonly isMember: boolean },
): readonly PushAction[] | undefined {
  for (const [how, whom] of readAudience(audience)) {
    if (whom === null ? !isMember : !whom.includes(userId)) continue
    return how === null ? undefined : unpackActions(how)
  }
  return undefined
}

/** The one that was read last: many events in a row have the same. */
let lastRead: { readonly text: string; readonly groups: readonly Group[] } = {
  text: '[]',
  groups: [],
}

function readAudience(text: string): readonly Group[] {
  if (lastRead.text !== text) lastRead = { text, groups: JSON.parse(text) }
  return lastRead.groups
}
