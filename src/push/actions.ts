/**
 * The actions of a notification as they are stored, once for each user: the frequent ones as a digit.
 *
 * @module
 */

import type { PushAction } from '#protocol/push-rules/ruleset.ts'

/** Those of the default rules. Stored: the places stay what they are. */
const frequent: readonly string[] = [
  '["notify"]',
  '["notify",{"set_tweak":"sound","value":"default"}]',
  '["notify",{"set_tweak":"sound","value":"default"},{"set_tweak":"highlight"}]',
  '["notify",{"set_tweak":"highlight"}]',
  '["notify",{"set_tweak":"sound","value":"ring"}]',
]

export function packActions(actions: readonly PushAction[]): string {
  const json = JSON.stringify(actions)
  const place = frequent.indexOf(json)
  return place === -1 ? json : String(place)
}

export function unpackActions(packed: string): readonly PushAction[] {
  return JSON.parse(frequent[Number(packed)] ?? packed)
}
