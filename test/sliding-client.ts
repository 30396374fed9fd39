/**
 * A client that follows its rooms by sliding sync.
 *
 * @module
 */

import type { TestContext } from 'node:test'
import { type Body, roomClientWorld, type TestUser } from './room-client-world.ts'

/** The path that it asks. */
export const slidingPath = '/_matrix/client/unstable/org.matrix.simplified_msc3575/sync'

/** A list of all rooms, or of those in a range. */
export function list(range: [number, number] | undefined, more: object = {}) {
  return { timeline_limit: 10, required_state: [], ...(range && { ranges: [range] }), ...more }
}

/** One connection of a user: each request goes on from the answer before. */
export class SlidingClient {
  readonly #user: TestUser
  pos: string | undefined
  body: object

  constructor(user: TestUser, body: object) {
    this.#user = user
    this.body = body
  }

  async ask(pos = this.pos): Promise<Body> {
    const query = pos === undefined ? '' : `?pos=${pos}`
    return await this.#user.post(`${slidingPath}${query}`, this.body)
  }

  async next(body: object = this.body): Promise<Body> {
    this.body = body
    const answer = await this.ask()
    this.pos = answer.pos
    return answer
  }
}

export async function twoUsers(
  t: TestContext,
  options: Parameters<typeof roomClientWorld>[1] = {},
) {
  const world = await roomClientWorld(t, options)
  const [alice, bob] = [await world.user('alice'), await world.user('bob')]
  return { world, alice, bob }
}

export async function sharedRoom(
  alice: TestUser,
  bob: TestUser,
  more: object = {},
): Promise<string> {
  const roomId = await alice.createRoom({ preset: 'public_chat', ...more })
  await bob.post(`/join/${encodeURIComponent(roomId)}`)
  return roomId
}

/** What is said in the timeline of a room of an answer. */
export const bodies = (room: Body): string[] =>
  room.timeline.flatMap((event: Body) => event.content.body ?? [])
/** The types of the state of a room of an answer. */
export const types = (room: Body): string[] => room.required_state.map((event: Body) => event.type)
