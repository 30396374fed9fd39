/**
 * A version of a room's state, as the rest of the house reads it.
 *
 * @module
 */

import { eventAt, type StatePairs } from '#protocol/state-resolution/state-pairs.ts'
import { firstMembersIn, membersIn } from './joined.ts'
import { joinCode } from './membership-codes.ts'
import type { Room } from './room.ts'
import type { StateView } from './rooms.ts'

export async function stateView(room: Room, version: number): Promise<StateView> {
  const pairs = await room.states.pairs(version)
  const numberAt = (type: string, stateKey: string) => {
    const key = room.stateKeyId(type, stateKey)
    return key === undefined ? undefined : eventAt(pairs, key)
  }
  return {
    size: pairs.length / 2,
    eventId: (type, stateKey) => {
      const number = numberAt(type, stateKey)
      return number === undefined ? undefined : room.eventId(number)
    },
    event: async (type, stateKey) => {
      const number = numberAt(type, stateKey)
      return number === undefined ? undefined : (await room.numbered([number]))[0]
    },
    ids: () =>
      entriesOf(pairs).map(([key, number]) => ({
        ...room.stateKey(key),
        eventId: room.eventId(number),
      })),
    events: async (filter) => {
      const wanted = entriesOf(pairs).filter(([key]) => {
        const { type, stateKey } = room.stateKey(key)
        return filter === undefined || filter(type, stateKey)
      })
      return await room.numbered(wanted.map(([, number]) => number))
    },
    isJoined: (userId) => {
      const number = numberAt('m.room.member', userId)
      return number !== undefined && room.membershipCode(number) === joinCode
    },
    joined: () => membersIn(room, pairs, joinCode),
    firstMembers: (max, self) => firstMembersIn(room, pairs, { max, self }),
  }
}

function entriesOf(pairs: StatePairs): [key: number, number: number][] {
  const entries: [number, number][] = []
  for (let at = 0; at < pairs.length; at += 2) {
    entries.push([pairs[at] as number, pairs[at + 1] as number])
  }
  return entries
}
