/**
 * What a client asks of sliding sync.
 *
 * @module
 */

import type { PeerSignal } from '#io/http.ts'
import type { RoomId, UserId } from '#protocol/identifiers/ids.ts'
import type { Json } from '#protocol/json.ts'
import type { WantedOfRoom } from './room-config.ts'

/** Which rooms a list is of. */
export interface RoomFilters {
  readonly is_dm?: boolean
  readonly is_encrypted?: boolean
  readonly is_invite?: boolean
  readonly is_invited?: boolean
  /** `null` is for rooms without a type. */
  readonly room_types?: readonly Json[]
  readonly not_room_types?: readonly Json[]
  readonly tags?: readonly string[]
  readonly not_tags?: readonly string[]
  readonly spaces?: readonly string[]
}

export interface WantedList extends WantedOfRoom {
  /** First and last, both included; the whole list if there are none. */
  readonly ranges?: readonly (readonly number[])[]
  readonly filters?: RoomFilters
}

/** An extension that is about rooms, with the lists and subscriptions it is for: `*` for all. */
export interface RoomExtension {
  readonly enabled?: boolean
  readonly lists?: readonly string[]
  readonly rooms?: readonly string[]
}

export interface WantedExtensions {
  readonly to_device?: {
    readonly enabled?: boolean
    readonly since?: string
    readonly limit?: number
  }
  readonly e2ee?: { readonly enabled?: boolean }
  readonly account_data?: RoomExtension
  readonly receipts?: RoomExtension
  readonly typing?: RoomExtension
  readonly 'org.matrix.msc4354.sticky_events'?: {
    readonly enabled?: boolean
    readonly limit?: number
    readonly since?: string
  }
  readonly 'org.matrix.msc4262.profiles'?: RoomExtension & { readonly fields?: readonly string[] }
  readonly 'io.element.msc4308.thread_subscriptions'?: {
    readonly enabled?: boolean
    readonly limit?: number
  }
}

export interface SlidingSyncRequest {
  readonly userId: UserId
  readonly deviceId: string
  readonly connId: string
  readonly pos: string | undefined
  readonly timeoutMs: number
  readonly lists: Readonly<Record<string, WantedList>>
  readonly subscriptions: Readonly<Record<RoomId, WantedOfRoom>>
  readonly extensions: WantedExtensions
  readonly signal: PeerSignal
}
