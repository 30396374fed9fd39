/**
 * A device of somebody who does things at random: it syncs in one of the ways that clients have, loses
 * its connection, and begins anew where it stopped.
 *
 * @module
 */

import {
  ClientEvent,
  ConnectionError,
  createClient,
  EventType,
  type ISyncResponse,
  type MatrixClient,
  type MatrixEvent,
  MemoryStore,
  PendingEventOrdering,
  type Room,
  RoomEvent,
  SyncAccumulator,
  SyncState,
} from 'matrix-js-sdk'
import { SlidingSync, SlidingSyncEvent } from 'matrix-js-sdk/lib/sliding-sync.js'
import { Client } from '../rig/client.ts'
import type { ServerProcess } from '../rig/processes.ts'

/** `lazy` and `threads` are `/sync` with what Element Web asks of it beside. */
export type SyncKind = 'v3' | 'lazy' | 'threads' | 'sliding'

const limitMs = 30_000
const timelineLimit = 30

/** What was synced, so that a client that begins anew goes on at its token. */
class KeptStore extends MemoryStore {
  readonly #accumulator: SyncAccumulator

  constructor(accumulator: SyncAccumulator) {
    super()
    this.#accumulator = accumulator
  }

  override async setSyncData(answer: ISyncResponse): Promise<void> {
    this.#accumulator.accumulate(structuredClone(answer))
  }

  override async getSavedSync() {
    const kept = this.#accumulator.getJSON()
    return kept.nextBatch ? structuredClone(kept) : null
  }

  override async getSavedSyncToken(): Promise<string | null> {
    return this.#accumulator.getJSON().nextBatch || null
  }
}

/** What requests that were cut failed with, in the words of the library too. */
const cuts = new Set<string>()

/** Whether this is what a request failed with because its client was taken off the network. */
export function wasCut(failure: unknown): boolean {
  return failure instanceof Error && cuts.has(failure.message)
}

type Content = Record<string, Record<string, Record<string, { thread_id?: string; ts?: number }>>>

export class RandomClient {
  readonly name: string
  readonly server: ServerProcess
  readonly kind: SyncKind
  /** The same session, without a library. */
  readonly plain: Client
  readonly #deviceId: string
  readonly #accumulator = new SyncAccumulator({ maxTimelineEntries: timelineLimit })
  #client: MatrixClient | undefined
  #sliding: SlidingSync | undefined
  #offline = new AbortController()
  /** The event that each receipt is at, by room, type, user and thread. */
  readonly receipts = new Map<string, string>()
  /** Rooms that it was not in all the time. */
  readonly leftOnce = new Set<string>()
  /**
   * Rooms of which something was left out between what it had and what it was told. By sliding sync the
   * library does not begin a timeline anew there, as it does by `/sync`: what lies in the gap it puts first.
   */
  readonly gappy = new Set<string>()

  private constructor(
    plain: Client,
    deviceId: string,
    {
      name,
      server,
      kind,
    }: { readonly name: string; readonly server: ServerProcess; readonly kind: SyncKind },
  ) {
    this.plain = plain
    this.#deviceId = deviceId
    this.name = name
    this.server = server
    this.kind = kind
  }

  /** Logs a user in, after registering them at the first time, and syncs. */
  static async start(server: ServerProcess, user: string, kind: SyncKind): Promise<RandomClient> {
    await Client.register(server.baseUrl, user).catch((error: unknown) => {
      if ((error as { errcode?: string }).errcode !== 'M_USER_IN_USE') throw error
    })
    const login = await createClient({ baseUrl: server.baseUrl }).loginRequest({
      type: 'm.login.password',
      identifier: { type: 'm.id.user', user },
      password: `secret of ${user}`,
    })
    const plain = new Client(server.baseUrl, login.user_id, login.access_token)
    const name = `${user} (${kind})`
    const it = new RandomClient(plain, login.device_id, { name, server, kind })
    await it.#begin()
    return it
  }

  get client(): MatrixClient {
    if (this.#client === undefined) throw new Error(`${this.name} has not begun`)
    return this.#client
  }

  get userId(): string {
    return this.plain.userId
  }

  get isOnline(): boolean {
    return !this.#offline.signal.aborted
  }

  rooms(membership: string): Room[] {
    return this.client.getRooms().filter((room) => room.getMyMembership() === membership)
  }

  /** Everything that it asks fails from now on, also what it waits for. */
  disconnect(): void {
    const cut = new TypeError(`${this.name} has no network (${cuts.size})`)
    cuts.add(cut.message).add(new ConnectionError('fetch failed', cut).message)
    this.#offline.abort(cut)
  }

  reconnect(): void {
    this.#offline = new AbortController()
    this.client.retryImmediately()
    this.#sliding?.resend()
  }

  stop(): void {
    this.client.stopClient()
    this.client.removeAllListeners()
  }

  /** As if the program were ended and started again: what was synced is read from where it was kept. */
  async restart(): Promise<void> {
    this.stop()
    this.receipts.clear()
    this.gappy.clear()
    this.#offline = new AbortController()
    await this.#begin()
  }

  async #begin(): Promise<void> {
    const { baseUrl } = this.server
    const client = createClient({
      baseUrl,
      accessToken: this.plain.token,
      userId: this.userId,
      deviceId: this.#deviceId,
      fetchFn: (input, init) => this.#fetch(input, init),
      ...(this.kind !== 'sliding' && { store: new KeptStore(this.#accumulator) }),
    })
    this.#client = client
    client.on(ClientEvent.Event, (event) => this.#keepReceipts(event))
    client.on(RoomEvent.MyMembership, ({ roomId }, membership) => {
      if (membership === 'leave' || membership === 'ban') this.leftOnce.add(roomId)
    })
    client.on(RoomEvent.Receipt, (event, { roomId }) => {
      if (event.getRoomId() === undefined) this.#keepReceipts(event, roomId)
    })
    const synced = new Promise<void>((resolve, reject) => {
      setTimeout(() => reject(new Error(`${this.name} cannot sync`)), limitMs).unref()
      client.on(ClientEvent.Sync, (state) => {
        if (state === SyncState.Syncing) resolve()
      })
    })
    const isSliding = this.kind === 'sliding'
    this.#sliding = isSliding ? slidingSync(client) : undefined
    this.#sliding?.on(SlidingSyncEvent.RoomData, (roomId, { limited }) => {
      const has = client.getRoom(roomId)?.getLiveTimeline().getEvents().length ?? 0
      if (limited && has > 0) this.gappy.add(roomId)
    })
    await client.startClient({
      initialSyncLimit: timelineLimit,
      // Else the library leaves what it sent where it stood before it was sent.
      pendingEventOrdering: PendingEventOrdering.Detached,
      lazyLoadMembers: this.kind === 'lazy',
      threadSupport: this.kind === 'threads',
      ...(this.#sliding && { slidingSync: this.#sliding }),
    })
    await synced
  }

  async #fetch(input: string | URL | Request, init: RequestInit = {}): Promise<Response> {
    const { signal } = this.#offline
    signal.throwIfAborted()
    const signals = init.signal ? [signal, init.signal] : [signal]
    const answer = await fetch(input, { ...init, signal: AbortSignal.any(signals) })
    // The library asks for the relations of thread roots that the server has no event of: they are older
    // than its stay in the room. It minds not to be told, and where relations end it asks for the root itself,
    // and leaves the 404 unhandled.
    const isOfThread = answer.status === 404 && String(input).includes('/relations/')
    return isOfThread ? Response.json({ chunk: [], next_batch: 'unknown' }) : answer
  }

  /** What the server tells; the library makes up receipts of its own, which name their room. */
  #keepReceipts(event: MatrixEvent, roomId = event.getRoomId()): void {
    if (event.getType() !== EventType.Receipt || roomId === undefined) return
    for (const [eventId, types] of Object.entries(event.getContent<Content>())) {
      for (const [type, users] of Object.entries(types)) {
        for (const [user, { thread_id: thread }] of Object.entries(users)) {
          this.receipts.set(receiptKey(roomId, type, user, thread), eventId)
        }
      }
    }
  }
}

export function receiptKey(roomId: string, type: string, user: string, thread?: string): string {
  return [roomId, type, user, thread ?? ''].join(' ')
}

function slidingSync(client: MatrixClient): SlidingSync {
  const list = {
    ranges: [[0, 99]],
    timeline_limit: timelineLimit,
    required_state: [['*', '*']],
  }
  const subscription = { timeline_limit: timelineLimit, required_state: list.required_state }
  return new SlidingSync(client.baseUrl, new Map([['all', list]]), subscription, client, 10_000)
}
