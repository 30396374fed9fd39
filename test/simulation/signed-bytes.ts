/**
 * What a server puts its key under: requests, its keys, what its own people asked for, invites of them,
 * and joins that one of them authorises; nothing else, whatever others would have it sign.
 *
 * Whose wish an event is, is known from the requests of the clients, not from the server.
 *
 * @module
 */

import { createHash } from 'node:crypto'
import type { Listen } from '../../src/io/http.ts'
import type { Signer } from '../../src/rooms/remote-servers.ts'
import { mergingEventType } from '../../src/rooms/rooms.ts'

/** What was signed and should not have been, and how often each kind was. */
export interface Witness {
  readonly onKind: (kind: string) => void
  readonly onProblem: (problem: string) => void
}

/** An event as it is signed: without what redaction takes away. */
interface SignedEvent {
  readonly type?: unknown
  readonly room_id?: string
  readonly sender?: string
  readonly state_key?: string
  readonly content?: Readonly<Record<string, unknown>>
  readonly hashes?: { readonly sha256?: unknown }
}

/** With what a room begins. */
const beginning = new Set([
  'm.room.create',
  'm.room.power_levels',
  'm.room.join_rules',
  'm.room.history_visibility',
  'm.room.guest_access',
  'm.room.name',
  'm.room.encryption',
])

const memberships: Readonly<Record<string, string>> = {
  kick: 'leave',
  unban: 'leave',
  ban: 'ban',
  invite: 'invite',
}

/** What the people of one server asked for, over all its lives. */
export class Wishes {
  readonly #wishes = new Set<string>()
  /** Rooms of version 12 that were made here: their IDs are hashes. */
  readonly #made = new Set<string>()
  readonly #authorisers = new Map<unknown, unknown>()

  /**
   * A join that another server hands in. Redaction leaves no word of who authorises it in rooms of
   * version 8, so that it is known by the hash of its content.
   */
  noteJoin(event: SignedEvent | null): void {
    const authoriser = event?.content?.join_authorised_via_users_server
    if (authoriser !== undefined) this.#authorisers.set(event?.hashes?.sha256, authoriser)
  }

  /** Who authorises a join, by what is left of it or by what was handed in. */
  authoriserOf({ content = {}, hashes }: SignedEvent): unknown {
    return content.join_authorised_via_users_server ?? this.#authorisers.get(hashes?.sha256)
  }

  /** A request of a client, before it is sent. `path` is without `/_matrix/client`. */
  note(userId: string, path: string, body: unknown): void {
    const [, , first = '', roomId = '', what = '', type = '', stateKey = ''] = (
      path.split('?')[0] ?? ''
    )
      .split('/')
      .map(decodeURIComponent)
    const member = (membership: string, target: string, room = roomId) =>
      this.#add(userId, room, 'm.room.member', target, membership)
    if (first === 'createRoom') this.#add(userId, 'a new room')
    else if (first === 'join' || first === 'knock') member(first, userId)
    else if (first === 'profile') member('join', userId, 'any room')
    else if (first !== 'rooms') return
    else if (what === 'leave') member('leave', userId)
    else if (what in memberships) {
      member(memberships[what] ?? '', String((body as { user_id?: unknown }).user_id))
    } else if (what === 'send') this.#add(userId, roomId, type)
    else if (what === 'redact') this.#add(userId, roomId, 'm.room.redaction')
    else if (what === 'state') this.#add(userId, roomId, type, stateKey)
  }

  #add(...wish: readonly string[]): void {
    this.#wishes.add(wish.join(' '))
  }

  #has(...wish: readonly string[]): boolean {
    return this.#wishes.has(wish.join(' '))
  }

  /** What somebody of this server asked for that the event is; `undefined` if nobody did. */
  wishOf(event: SignedEvent, bytes: Uint8Array, serverName: string): string | undefined {
    const { type, room_id: roomId = '', sender = '', state_key: stateKey, content = {} } = event
    const kind = String(type)
    const membership = String(content.membership)
    if (kind === 'm.room.member') {
      if (this.#has(sender, roomId, kind, stateKey ?? '', membership)) return 'membership'
      if (stateKey !== sender || membership !== 'join') return undefined
      if (this.#has(sender, 'any room', kind, sender, 'join')) return 'profile'
      return this.#isOwn(roomId, serverName) && this.#has(sender, 'a new room')
        ? 'new room'
        : undefined
    }
    const place = stateKey === undefined ? [] : [stateKey]
    if (this.#has(sender, roomId, kind, ...place)) return 'event'
    if (kind === mergingEventType && stateKey === undefined) return 'merging event'
    if (stateKey !== '' || !beginning.has(kind) || !this.#has(sender, 'a new room')) {
      return undefined
    }
    if (kind === 'm.room.create' && event.room_id === undefined) {
      this.#made.add(`!${createHash('sha256').update(bytes).digest('base64url')}`)
      return 'new room'
    }
    return this.#isOwn(roomId, serverName) ? 'new room' : undefined
  }

  #isOwn(roomId: string, serverName: string): boolean {
    return roomId.endsWith(`:${serverName}`) || this.#made.has(roomId)
  }
}

/** Looks at all that is signed with this key from now on. */
export function watchSigner(signer: Signer, wishes: Wishes, witness: Witness): void {
  const { sign, serverName } = signer
  const isHere = (userId: unknown) => String(userId).endsWith(`:${serverName}`)
  const watched = (message: Uint8Array) => {
    const kind = kindOf(message)
    if (kind === undefined) {
      witness.onProblem(`${serverName} signed ${Buffer.from(message).toString().slice(0, 300)}`)
    } else witness.onKind(kind)
    return sign(message)
  }
  Object.assign(signer, { sign: watched })

  function kindOf(message: Uint8Array): string | undefined {
    const text = Buffer.from(message).toString()
    if (isRequest(text, serverName)) return 'request'
    const object = JSON.parse(text) as SignedEvent & { readonly verify_keys?: unknown }
    if (object.verify_keys !== undefined && object.type === undefined) return 'keys'
    const { type, sender, state_key: target, content = {} } = object
    if (isHere(sender)) return wishes.wishOf(object, message, serverName)
    if (type !== 'm.room.member') return undefined
    if (content.membership === 'invite' && isHere(target)) return 'invite of one of us'
    const isAuthorised = isHere(wishes.authoriserOf(object))
    if (content.membership === 'join' && sender === target && isAuthorised) {
      return 'join that one of us authorises'
    }
    return undefined
  }
}

/** Hears of the joins that others hand in. */
export function watchedListen(listen: Listen, wishes: Wishes): Listen {
  return (options, handler) =>
    listen(options, (request) => {
      if (!/^\/_matrix\/federation\/v\d\/send_join\//.test(request.target)) return handler(request)
      const body = async (bytesMax: number) => {
        const bytes = await request.body(bytesMax)
        wishes.noteJoin(eventIn(bytes))
        return bytes
      }
      return handler({ ...request, body })
    })
}

function eventIn(bytes: Uint8Array): SignedEvent | null {
  try {
    return JSON.parse(Buffer.from(bytes).toString()) as SignedEvent | null
  } catch {
    return null
  }
}

function isRequest(text: string, serverName: string): boolean {
  const end =
    /(?:^\{|,)"destination":"[^"]+","method":"[A-Z]+","origin":"([^"]+)","uri":"[^"]+"\}$/.exec(
      text,
    )
  return end?.[1] === serverName && /^\{"(?:content":[{[]|destination":)/.test(text)
}
