/**
 * What is told to a reader of a room, as far as their story goes: something is said before they are
 * invited (`b`), while they knock (`k`) or are invited (`i`), while they are in (`j`), after they left
 * (`l`), and after they came again (`a`). All that is said after the first message belongs to its
 * thread, and edits it: whoever sees the first is told of the others with it, and must not be of those
 * they may not see.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#room-history-visibility
 *
 * @module
 */

import assert from 'node:assert/strict'
import { at, type RoomClientWorld, type TestUser } from './room-client-world.ts'

/** How far the reader's story goes. */
export const relations = {
  stranger: 'b',
  guest: 'b',
  knocked: 'bk',
  invited: 'bi',
  joined: 'bij',
  left: 'bijl',
  banned: 'bijl',
  forgotten: 'bijl',
  again: 'bijla',
} as const
export type Relation = keyof typeof relations
export const allRelations = Object.keys(relations) as Relation[]
/** Whether the reader is in the room in the end. */
export const isIn = (relation: Relation) => relation === 'joined' || relation === 'again'
/** Whether they are or were in the room, and have not forgotten it. */
export const wasIn = (relation: Relation) =>
  isIn(relation) || relation === 'left' || relation === 'banned'

export const visibilities = ['world_readable', 'shared', 'invited', 'joined'] as const
export type Visibility = (typeof visibilities)[number]

/** The times of which the reader sees what was said, by the spec; `-` is none. */
export function seenBy(relation: Relation, visibility: Visibility): string {
  if (visibility === 'world_readable') return relations[relation]
  if (!wasIn(relation)) return '-'
  const beforeLeaving: Record<string, string> = { shared: 'bij', invited: 'ij', joined: 'j' }
  return `${beforeLeaving[visibility]}${relation === 'again' ? afterLeaving[visibility] : ''}`
}
/** Who comes again has the rooms' history where it is shared, else from their coming on. */
const afterLeaving: Record<string, string> = { shared: 'la', invited: 'a', joined: 'a' }

/** The story as it was told. */
export interface Told {
  readonly roomId: string
  readonly visibility: Visibility
  readonly reader: TestUser
  /** Of the reader, from before all of it. */
  readonly since: string
  readonly messages: ReadonlyMap<string, string>
  readonly topics: ReadonlyMap<string, string>
  /** An event of the other room. */
  readonly otherEventId: string
}

/** Makes a room, and tells the story of a reader in it. */
export async function tell(
  world: RoomClientWorld,
  alice: TestUser,
  visibility: Visibility,
  relation: Relation,
  speaker = alice,
): Promise<Told> {
  const reader = relation === 'guest' ? await guest(world) : await world.user(relation)
  const { next_batch: since } = await reader.sync()
  const state = (type: string, content: object) => ({ type: `m.room.${type}`, content })
  const rules = [
    state('history_visibility', { history_visibility: visibility }),
    state('join_rules', { join_rule: relation === 'knocked' ? 'knock' : 'invite' }),
  ]
  const roomId: string = await alice.createRoom({ initial_state: rules })
  if (speaker !== alice) {
    await alice.post(at(roomId, '/invite'), { user_id: speaker.userId })
    await speaker.post(at(roomId, '/join'))
  }
  const otherRoomId = await alice.createRoom()
  const otherEventId = await alice.say(otherRoomId, 'canary x.')
  const on = { user_id: reader.userId }
  const messages = new Map<string, string>()
  const topics = new Map<string, string>()
  let root: string | undefined
  for (const time of relations[relation]) {
    if (time === 'k') await reader.post(`/knock/${encodeURIComponent(roomId)}`)
    if (time === 'i') await alice.post(at(roomId, '/invite'), on)
    if (time === 'j') await reader.post(at(roomId, '/join'))
    if (time === 'l') await alice.post(at(roomId, relation === 'banned' ? '/ban' : '/kick'), on)
    if (time === 'a') {
      await alice.post(at(roomId, '/invite'), on)
      await reader.post(at(roomId, '/join'))
    }
    await world.time.run(1000)
    const topic = await alice.put(at(roomId, '/state/m.room.topic'), { topic: `topic ${time}.` })
    topics.set(time, topic.event_id)
    const said = {
      msgtype: 'm.text',
      body: `canary ${time}.`,
      'm.mentions': { user_ids: [reader.userId] },
    }
    const send = async (id: string, content: object): Promise<string> =>
      (await speaker.put(at(roomId, `/send/m.room.message/${id}`), content)).event_id
    if (root === undefined) {
      root = await send(`${roomId}${time}`, said)
      messages.set(time, root)
    } else {
      const inThread = { rel_type: 'm.thread', event_id: root }
      messages.set(time, await send(`${roomId}${time}`, { ...said, 'm.relates_to': inThread }))
      const edit = { rel_type: 'm.replace', event_id: root }
      await send(`${roomId}${time}e`, { ...said, 'm.new_content': said, 'm.relates_to': edit })
    }
    const read = `/receipt/m.read/${encodeURIComponent(messages.get(time) ?? '')}`
    await alice.post(at(roomId, read), {})
    await world.time.run(1000)
  }
  if (relation === 'forgotten') await reader.post(at(roomId, '/forget'))
  return { roomId, visibility, reader, since, messages, topics, otherEventId }
}

async function guest(world: RoomClientWorld): Promise<TestUser> {
  const { userId, issued } = await world.users.accounts.register({ guest: true, device: {} })
  return world.client(userId as `@${string}:${string}`, issued?.access_token ?? assert.fail())
}

/** The times of which something is in an answer, in the order of the story. */
export function found(answer: unknown, word = 'canary'): string {
  const text = JSON.stringify(answer) ?? ''
  return [...'bkijlax'].filter((time) => text.includes(`${word} ${time}.`)).join('') || '-'
}

/** Those of the times that are not gone. */
export const without = (times: string, gone: string) =>
  [...times].filter((time) => !gone.includes(time)).join('') || '-'
