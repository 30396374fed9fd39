/**
 * What can be wrong with an event, as data: a malformation makes one from an event that is in order, and says
 * what must become of it.
 *
 * @module
 */

import type { EventId, RoomId } from '../../src/protocol/identifiers/ids.ts'
import type { RoomVersion } from '../../src/protocol/room-version.ts'
import type { JsonSigner } from '../../src/protocol/signatures.ts'
import { type RawEvent, sealed, textOf } from '../scripted-peer/forged-event.ts'

/**
 * - `dropped`: nothing of it is stored.
 * - `redacted`: the event is stored without what its content hash does not cover.
 * - `rejected`: it is in no timeline and no state, whether it is kept or not.
 * - `accepted`: it is in order.
 */
export type Fate = 'dropped' | 'redacted' | 'rejected' | 'accepted'

/** Who can sign. */
export interface Forge {
  readonly version: RoomVersion
  /** The server of the event's sender. */
  readonly signer: JsonSigner
  /** A key of the same server, which it used until an hour ago. */
  readonly old: JsonSigner
  /** The same server and key ID with another key. */
  readonly impostor: JsonSigner
  /** Another server, whose keys can be had. */
  readonly other: JsonSigner
  /** A room that is not this one. */
  readonly otherRoom: RoomId
}

export interface Malformation {
  readonly name: string
  /** The versions of which it is told; all if it is absent. */
  readonly in?: ((version: RoomVersion) => boolean) | undefined
  /** `dropped` if it is absent. */
  readonly fate?: Fate | ((version: RoomVersion) => Fate) | undefined
  /** Of events that come by `/send` or a handshake only: history is taken as it is. */
  readonly ofNewEvents?: boolean | undefined
  /** Leaves no room for a signature more. */
  readonly isFull?: boolean | undefined
  /** The text that is sent instead of the event. */
  readonly make: (event: RawEvent, forge: Forge) => string
}

export type Options = Pick<Malformation, 'in' | 'fate' | 'ofNewEvents' | 'isFull'>
export type Change = (event: RawEvent, forge: Forge) => RawEvent

/** Rightly hashed and signed, but of an event that is none. */
export const before = (name: string, change: Change, options: Options = {}): Malformation => ({
  name,
  ...options,
  make: (event, forge) => textOf(sealed(forge.version, change(event, forge), forge.signer)),
})

/** Changed after it was hashed and signed. */
export const after = (name: string, change: Change, options: Options = {}): Malformation => ({
  name,
  ...options,
  make: (event, forge) => textOf(change(sealed(forge.version, event, forge.signer), forge)),
})

/** Of a sound event, another text. */
export const text = (
  name: string,
  change: (text: string) => string,
  options: Options = {},
): Malformation => ({
  name,
  ...options,
  make: (event, forge) => change(textOf(sealed(forge.version, event, forge.signer))),
})

export const set = (name: string, value: unknown): Change => {
  return (event) => ({ ...event, [name]: value })
}
export const setContent = (content: object): Change => {
  return (event) => ({ ...event, content: { ...(event.content as object), ...content } })
}

export const redacted: Options = { fate: 'redacted' }
export const accepted: Options = { fate: 'accepted' }
export const rejected: Options = { fate: 'rejected' }
export const inEventId: Options = { in: (version) => version.eventId === 'in-event' }

export function referenceTo(version: RoomVersion, eventId: EventId): unknown {
  return version.referencesHaveHashes ? [eventId, { sha256: 'A'.repeat(43) }] : eventId
}
