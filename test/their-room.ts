/**
 * Another server, played by a test: it makes events of a room with a key of its own, at any place of
 * the graph, and the engine receives them.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { selectAuthEvents } from '#protocol/auth-rules/auth-events.ts'
import { authStateOf } from '#protocol/auth-rules/auth-state.ts'
import { buildPdu, referenceTo } from '#protocol/build-pdu.ts'
import { signingKeyOf } from '#protocol/ed25519.ts'
import type { EventId, RoomId, ServerName, UserId } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'
import type { Pdu } from '#protocol/pdu.ts'
import type { RoomVersion } from '#protocol/room-version.ts'
import type { Engine, Outcome } from '#rooms/engine.ts'
import type { Signer } from '#rooms/remote-servers.ts'
import type { Rooms } from '#rooms/rooms.ts'

export const there = 'there.test' as ServerName
export const bob: UserId = '@bob:there.test'
export const carol: UserId = '@carol:there.test'
export const theirs = signerOf(there, 2)

const end = { stream: Number.MAX_SAFE_INTEGER, sub: 0 }

export function signerOf(serverName: ServerName, seed: number): Signer {
  const { publicKey, sign } = signingKeyOf(new Uint8Array(32).fill(seed))
  return { serverName, keyId: 'ed25519:1', publicKey, sign }
}

/** Our side of the room. */
export interface OurSide {
  readonly rooms: Pick<
    Rooms,
    'currentState' | 'event' | 'events' | 'send' | 'stateAfter' | 'timeline'
  > & { readonly engine: Engine }
}

/** The room as the other server sees it. */
export class TheirRoom<World extends OurSide = OurSide> {
  readonly world: World
  readonly roomId: RoomId
  readonly version: RoomVersion
  readonly #us: UserId
  #depth = 100

  /** `us`: the user of this server who is in the room. */
  constructor(world: World, roomId: RoomId, version: RoomVersion, us: UserId) {
    this.world = world
    this.roomId = roomId
    this.version = version
    this.#us = us
  }

  /** Bob and Carol join. */
  async join(): Promise<void> {
    for (const user of [bob, carol]) {
      const content = { membership: 'join' }
      const join = await this.make(user, 'm.room.member', content, { stateKey: user })
      assert.equal((await this.receive(join)).outcome, 'accepted')
    }
  }

  /** An event at the given place in the graph, by default at its end; its auth events fit its place. */
  async make(
    sender: UserId,
    type: string,
    content: JsonObject,
    place: {
      stateKey?: string
      after?: readonly Pdu[]
      redacts?: EventId
      auth?: readonly Pdu[]
      /** For how long it sticks. */
      stickyMs?: number
      /** When it was made, as it says. */
      ts?: number
    } = {},
  ): Promise<Pdu> {
    const { version, roomId } = this
    const { rooms } = this.world
    const { stateKey, redacts, stickyMs } = place
    const ends = await rooms.engine.forwardExtremities(roomId)
    const after = place.after ?? (await rooms.events(roomId, ends)).map(({ pdu }) => pdu)
    const [first] = after
    const state =
      (first && (await rooms.stateAfter(roomId, first.event_id))) ??
      (await rooms.currentState(roomId)) ??
      assert.fail()
    const events = place.auth ?? (await state.events())
    const key = stateKey === undefined ? {} : { state_key: stateKey }
    const subject = { version, type, sender, content, ...key }
    this.#depth += 1
    const built = buildPdu(
      version,
      {
        ...(version.eventId === 'in-event' ? { event_id: `$${this.#depth}:there.test` } : {}),
        room_id: roomId,
        type,
        sender,
        content,
        ...key,
        ...(redacts === undefined ? {} : { redacts }),
        depth: this.#depth,
        origin_server_ts: place.ts ?? 1_700_000_000_000 + this.#depth,
        ...(stickyMs === undefined ? {} : { stickyMs }),
        prev_events: after.map(referenceTo),
        auth_events: (place.auth ?? selectAuthEvents(subject, authStateOf(events))).map(
          referenceTo,
        ),
      },
      theirs,
    )
    assert.ok(built.ok)
    return built.pdu
  }

  async message(sender: UserId, after?: readonly Pdu[]): Promise<Pdu> {
    return await this.make(sender, 'm.room.message', { body: 'x' }, after ? { after } : {})
  }

  /** The auth events of a message of `sender` after `event`. */
  async authAfter(event: Pdu, sender: UserId): Promise<Pdu[]> {
    const state = await this.world.rooms.stateAfter(this.roomId, event.event_id)
    const events = (await state?.events()) ?? []
    const subject = { version: this.version, type: 'm.room.message', sender, content: {} }
    return selectAuthEvents(subject, authStateOf(events))
  }

  async receive(
    pdu: Pdu,
    statesBefore?: ReadonlyMap<EventId, readonly EventId[]>,
  ): Promise<Outcome> {
    const options = { origin: there, ...(statesBefore ? { statesBefore } : {}) }
    const [outcome] = await this.world.rooms.engine.receive(this.roomId, [pdu], options)
    return outcome ?? assert.fail()
  }

  async ours(type: string, content: JsonObject, stateKey?: string): Promise<Pdu> {
    const key = stateKey === undefined ? {} : { state_key: stateKey }
    const { rooms } = this.world
    const eventId = await rooms.send(this.roomId, { sender: this.#us, type, content, ...key })
    return (await rooms.event(this.roomId, eventId))?.pdu ?? assert.fail()
  }

  ends(): Promise<EventId[]> {
    return this.world.rooms.engine.forwardExtremities(this.roomId)
  }

  async timeline(): Promise<EventId[]> {
    const range = { from: end, direction: 'backwards', limit: 100 } as const
    const events = await this.world.rooms.timeline(this.roomId, range)
    return events.map(({ pdu }) => pdu.event_id).reverse()
  }

  async current(type: string, stateKey = ''): Promise<EventId | undefined> {
    return (await this.world.rooms.currentState(this.roomId))?.eventId(type, stateKey)
  }
}
