/**
 * Holds what Synapse says of a room against what Hansa says, and knows which differences are meant.
 * `explained.md` says of each why.
 *
 * @module
 */

import { readPowerLevel } from '#protocol/auth-rules/power-level.ts'
import { namedLevels } from '#protocol/auth-rules/room-levels.ts'
import { serverNameOf } from '#protocol/identifiers/common-format.ts'
import type { UserId } from '#protocol/identifiers/ids.ts'
import { parseUserId } from '#protocol/identifiers/user-id.ts'
import { isJsonObject } from '#protocol/json.ts'
import type { Pdu } from '#protocol/pdu.ts'
import type { Answer } from './oracle.ts'
import type { RandomRoom, RoomEvent, State } from './random-room.ts'

/** A difference, and the heading in `explained.md` that explains it, if one does. */
export interface Difference {
  readonly about: string
  readonly explanation: string | undefined
}

/** How many answers were compared, and where they differ. */
export interface Comparison {
  readonly verdicts: number
  readonly resolutions: number
  readonly differences: readonly Difference[]
}

export function compare(room: RandomRoom, answer: Answer): Comparison {
  const differences: Difference[] = []
  const differ = (about: string, explanation: string | undefined) => {
    differences.push({ about: `v${room.version.id} seed ${room.seed}: ${about}`, explanation })
  }
  if (answer.failure !== undefined) {
    const named = answer.failure.includes('should not be explicitly be in the auth_events')
    differ(answer.failure, named ? 'create event listed in version 12' : undefined)
    return { verdicts: 0, resolutions: 0, differences }
  }
  let verdicts = 0
  for (const [place, event] of room.events.entries()) {
    if (answer.ids[place] !== event.pdu.event_id) differ(`ID of event ${place}`, undefined)
    for (const verdict of verdictsOf(room, event, answer.checks.slice(place * 3, place * 3 + 3))) {
      verdicts++
      if (verdict.ours === verdict.theirs) continue
      const { against, ours, why, state } = verdict
      const about = `event ${place}, ${against}: Hansa ${ours ? 'allows' : 'rejects'}; ${why}`
      differ(`${about} ${event.text}`, explanationOf(event.pdu, state, { ours }))
    }
  }
  for (const [place, { resolved }] of room.resolutions.entries()) {
    const ours = sortedText(resolved)
    const theirs = answer.resolutions[place]
    const own = answer.own[place]
    if (own !== undefined && textOf(own) !== textOf(theirs)) {
      differ(`resolution ${place}: Synapse's own sets give another state`, 'auth chains of states')
    }
    if (textOf(theirs) === ours) continue
    differ(
      `resolution ${place}: ${typeof theirs === 'string' ? theirs : 'another state'}`,
      explainedBy(room, theirs),
    )
  }
  return { verdicts, resolutions: room.resolutions.length, differences }
}

interface ComparedVerdict {
  readonly against: string
  readonly ours: boolean
  readonly theirs: boolean
  readonly why: string
  readonly state: State
}

/**
 * On its way in an event is checked by its list of auth events and against them, which each side does
 * in its own order, and then against the state before it.
 */
function verdictsOf(
  room: RandomRoom,
  { pdu, byList, byAuthEvents, byState, stateBefore }: RoomEvent,
  [list, authEvents, state]: readonly (string | null)[],
): ComparedVerdict[] {
  const known = new Map(room.events.map((event) => [event.pdu.event_id, event.pdu]))
  const auth: State = new Map(
    pdu.auth_events.flatMap((id) => {
      const authEvent = known.get(id)
      return authEvent === undefined
        ? []
        : [[`${authEvent.type}|${authEvent.state_key}`, authEvent]]
    }),
  )
  const receipt = {
    against: 'its auth events',
    ours: byList.allowed && byAuthEvents.allowed,
    theirs: list === null && authEvents === null,
    why: list ?? authEvents ?? 'Synapse allows',
    state: withCreate(room, auth),
  }
  if (!receipt.ours || !receipt.theirs || pdu.type === 'm.room.create') return [receipt]
  const before = {
    against: 'the state before it',
    ours: byState.allowed,
    theirs: state === null,
    why: state ?? 'Synapse allows',
    state: stateBefore,
  }
  return [receipt, before]
}

function withCreate(room: RandomRoom, state: State): State {
  const create = room.events[0]?.pdu
  return create === undefined ? state : new Map([...state, ['m.room.create|', create]])
}

/** The heading in `explained.md` for a difference about one event. */
function explanationOf(pdu: Pdu, state: State, { ours }: { ours: boolean }): string | undefined {
  const isMember = pdu.type === 'm.room.member'
  if (isMember && isForeignTarget(pdu, state) && ours) return 'rooms that do not federate'
  const levels = state.get('m.room.power_levels|')
  if (hasOddLevels(pdu) || (levels !== undefined && hasOddLevels(levels))) return 'odd power levels'
  if (isMember && !ours && parseUserId(pdu.state_key ?? '') === undefined)
    return 'targets that are no users'
  if (isMember && !ours && hasOddAuthoriser(pdu)) return 'authorisers that are no users'
  if (pdu.type === 'm.room.power_levels' && pdu.state_key !== '') return 'power levels elsewhere'
  if (pdu.type === 'm.room.redaction' && pdu.redacts === undefined) return 'redactions of nothing'
  return undefined
}

/** What of a room may make Synapse resolve it differently. */
function explainedBy(room: RandomRoom, theirs: unknown): string | undefined {
  const pdus = room.events.map(({ pdu }) => pdu)
  if (pdus[0]?.content['m.federate'] !== undefined) return 'rooms that do not federate'
  if (pdus.some(hasOddLevels)) return 'odd power levels'
  const isOdd = (pdu: Pdu) => pdu.type === 'm.room.power_levels' && pdu.state_key !== ''
  if (pdus.some(isOdd)) return 'power levels elsewhere'
  const isOddTarget = (pdu: Pdu) =>
    pdu.type === 'm.room.member' && parseUserId(pdu.state_key ?? '') === undefined
  if (pdus.some(isOddTarget)) return 'targets that are no users'
  if (pdus.some(hasOddAuthoriser)) return 'authorisers that are no users'
  if (typeof theirs === 'string' && pdus.some(hasOddKeys)) return 'keys that are no keys'
  return undefined
}

/** Whether a third-party invite has something else where a key should be. */
function hasOddKeys({ type, content }: Pdu): boolean {
  if (type !== 'm.room.third_party_invite') return false
  const { public_key, public_keys = [] } = content
  if (!Array.isArray(public_keys)) return true
  const listed = public_keys.map((holder) => (isJsonObject(holder) ? holder.public_key : holder))
  const keys = public_key === undefined ? listed : [public_key, ...listed]
  return keys.some((key) => typeof key !== 'string' || !/^[\w+/-]{43}$/.test(key))
}

function isForeignTarget(pdu: Pdu, state: State): boolean {
  const create = state.get('m.room.create|')
  const target = parseUserId(pdu.state_key ?? '')
  if (create?.content['m.federate'] === undefined || target === undefined) return false
  return serverNameOf(target) !== serverNameOf(create.sender)
}

/** Whether a power levels event has, where a level should be, what the spec reads as none. */
function hasOddLevels({ type, version, content }: Pdu): boolean {
  if (type !== 'm.room.power_levels') return false
  for (const [name, value] of Object.entries(content)) {
    const isTable = ['users', 'events', 'notifications'].includes(name)
    if (isTable && !isJsonObject(value)) return true
    const values = isTable && isJsonObject(value) ? Object.values(value) : []
    if (Object.hasOwn(namedLevels, name)) values.push(value)
    if (values.some((level) => Number.isNaN(readPowerLevel(version, level)))) return true
    const keys = isJsonObject(value) ? Object.keys(value) : []
    if (name === 'users' && keys.some((id) => parseUserId(id) === undefined)) return true
  }
  return false
}

function hasOddAuthoriser({ version, type, content }: Pdu): boolean {
  const authoriser = content.join_authorised_via_users_server
  if (type !== 'm.room.member' || !version.restrictedJoins || authoriser === undefined) return false
  return typeof authoriser !== 'string' || parseUserId(authoriser as UserId) === undefined
}

function sortedText(ids: readonly string[]): string {
  return [...ids].sort().join()
}

function textOf(resolution: string | readonly string[] | undefined): string {
  return typeof resolution === 'object' ? sortedText(resolution) : String(resolution)
}
