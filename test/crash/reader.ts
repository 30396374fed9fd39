/**
 * A client that syncs all the time, through whatever its server goes through, and keeps what it was
 * shown: what it is shown twice, or never, can be told afterwards.
 *
 * @module
 */

import type { Client, ClientEvent, Json } from '../rig/client.ts'

const timeline = encodeURIComponent(JSON.stringify({ room: { timeline: { limit: 500 } } }))
const pauseMs = 100

export class Reader {
  readonly client: Client
  readonly #roomId: string
  /** The events of the room's timeline in the order in which they were shown. */
  readonly events: ClientEvent[] = []
  /** The contents of messages to this device in the order in which they came. */
  readonly messages: Json[] = []
  /** The events which users have read, by user. */
  readonly receipts = new Map<string, string>()
  /** Whether a part of the timeline was left out. */
  hasGap = false
  #isEnding = false
  #ended: Promise<void> | undefined

  constructor(client: Client, roomId: string) {
    this.client = client
    this.#roomId = roomId
  }

  start(): void {
    this.#ended = this.#read()
  }

  async end(): Promise<void> {
    this.#isEnding = true
    await this.#ended
  }

  async #read(): Promise<void> {
    while (!this.#isEnding) {
      try {
        const since = this.client.since ? `&since=${encodeURIComponent(this.client.since)}` : ''
        const path = `/v3/sync?timeout=500&filter=${timeline}${since}`
        const answer = await this.client.call('GET', path, undefined, AbortSignal.timeout(10_000))
        this.#take(answer, since === '')
        this.client.since = String(answer.next_batch)
      } catch {
        // It is down, or fails as it was told to: whatever it is, a client asks again.
        await new Promise((resolve) => setTimeout(resolve, pauseMs))
      }
    }
  }

  #take(answer: Json, isFirst: boolean): void {
    const rooms = answer.rooms as { join?: Record<string, JoinedRoom> } | undefined
    const room = rooms?.join?.[this.#roomId]
    if (!isFirst && room?.timeline?.limited) this.hasGap = true
    this.events.push(...(room?.timeline?.events ?? []))
    for (const { type, content } of room?.ephemeral?.events ?? []) {
      if (type !== 'm.receipt') continue
      for (const [eventId, kinds] of Object.entries(content)) {
        const users = (kinds as Record<string, Json>)['m.read'] ?? {}
        for (const userId of Object.keys(users)) this.receipts.set(userId, eventId)
      }
    }
    const toDevice = answer.to_device as { events?: { content: Json }[] } | undefined
    for (const { content } of toDevice?.events ?? []) this.messages.push(content)
  }
}

interface JoinedRoom {
  readonly timeline?: { readonly events?: readonly ClientEvent[]; readonly limited?: boolean }
  readonly ephemeral?: { readonly events?: readonly { type: string; content: Json }[] }
}
