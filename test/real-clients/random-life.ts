/**
 * Users of two servers who do at random what users do, with the library of most clients.
 *
 * @module
 */

import {
  EventStatus,
  EventType,
  type MatrixEvent,
  MsgType,
  Preset,
  ReceiptType,
  RelationType,
  type Room,
} from 'matrix-js-sdk'
import type { SeededRandom } from '../../src/io/simulated/simulated-random.ts'
import type { ServerProcess } from '../rig/processes.ts'
import { RandomClient, type SyncKind } from './random-client.ts'

/** Who lives: server, user, and how they sync. Two devices of one user are two of them. */
const cast: readonly (readonly [server: number, user: string, kind: SyncKind])[] = [
  [0, 'alice', 'v3'],
  [0, 'alice', 'sliding'],
  [0, 'anna', 'threads'],
  [1, 'bob', 'v3'],
  [1, 'ben', 'sliding'],
  [1, 'bea', 'lazy'],
]
const roomsMax = 10
const versions = ['6', '9', '10', '11', '12'] as const
/**
 * What is refused because somebody else has changed the room meanwhile, or because they may not. The last: the
 * members of an upgraded room may join the new one, and a server that has left the upgraded one cannot say who
 * they are.
 */
const refusals = new Set([
  'M_FORBIDDEN',
  'M_NOT_FOUND',
  'M_BAD_STATE',
  'M_UNABLE_TO_AUTHORISE_JOIN',
])

type Act = (who: RandomClient, room: Room) => Promise<unknown>

export class RandomLife {
  readonly people: readonly RandomClient[]
  readonly roomIds: string[] = []
  /** What was done, one line each. */
  readonly log: string[] = []
  readonly #random: SeededRandom
  readonly #servers: readonly ServerProcess[]
  #count = 0
  /** What is to be known of what is done now: whom it is about, which event. */
  #notes: string[] = []
  /** What can be done in a room, with its weight. */
  readonly #inRoom: readonly (readonly [weight: number, name: string, act: Act])[] = [
    [30, 'send', (who, room) => who.client.sendTextMessage(room.roomId, this.#text())],
    [6, 'mention', (who, room) => this.#mention(who, room)],
    [8, 'edit', (who, room) => this.#edit(who, room)],
    [8, 'react', (who, room) => this.#react(who, room)],
    [6, 'redact', (who, room) => this.#redact(who, room)],
    [10, 'reply in a thread', (who, room) => this.#replyInThread(who, room)],
    [3, 'name', (who, room) => who.client.setRoomName(room.roomId, this.#text())],
    [3, 'topic', (who, room) => who.client.setRoomTopic(room.roomId, this.#text())],
    [3, 'level', (who, room) => this.#setLevel(who, room)],
    [10, 'receipt', (who, room) => this.#sendReceipt(who, room)],
    [3, 'typing', (who, room) => who.client.sendTyping(room.roomId, true, 3_000)],
    [3, 'account data', (who, room) => this.#setAccountData(who, room)],
    [3, 'tag', (who, room) => this.#setTag(who, room)],
    [6, 'invite', (who, room) => who.client.invite(room.roomId, this.#somebody())],
    [3, 'kick', (who, room) => who.client.kick(room.roomId, this.#somebody(), 'because')],
    [1, 'ban', (who, room) => who.client.ban(room.roomId, this.#somebody())],
    [2, 'unban', (who, room) => who.client.unban(room.roomId, this.#somebody())],
    [3, 'leave', (who, room) => who.client.leave(room.roomId)],
    [1, 'upgrade', (who, room) => this.#upgrade(who, room)],
    [2, 'display name', (who) => who.client.setDisplayName(this.#text())],
  ]

  private constructor(
    people: readonly RandomClient[],
    random: SeededRandom,
    servers: readonly ServerProcess[],
  ) {
    this.people = people
    this.#random = random
    this.#servers = servers
  }

  static async start(servers: readonly ServerProcess[], random: SeededRandom): Promise<RandomLife> {
    const people: RandomClient[] = []
    for (const [at, user, kind] of cast) {
      const server = servers[at]
      if (server) people.push(await RandomClient.start(server, user, kind))
    }
    return new RandomLife(people, random, servers)
  }

  /** Does one thing. Throws if it fails with anything that cannot be meant. */
  async act(): Promise<void> {
    const who = this.#random.pick(this.people.filter(({ isOnline }) => isOnline))
    const [name, act] = this.#choice(who)
    this.#count += 1
    this.#notes = []
    let failure = ''
    try {
      const done = (await act()) as { readonly event_id?: string } | undefined
      if (done?.event_id !== undefined) this.#noted(`gives ${done.event_id}`)
    } catch (error) {
      giveUp(who)
      const { errcode } = error as { errcode?: string }
      failure = `: ${errcode ?? error}`
      if (errcode === undefined || !refusals.has(errcode)) throw new Error(name, { cause: error })
    } finally {
      const notes = this.#notes.map((note) => ` ${note}`).join('')
      this.log.push(`${this.#count} ${who.name}: ${name}${notes}${failure}`)
    }
  }

  /** Lets everybody be online, and nobody write. */
  async calm(): Promise<void> {
    for (const who of this.people) {
      if (!who.isOnline) who.reconnect()
      for (const { roomId } of who.rooms('join')) {
        await who.client.sendTyping(roomId, false, 0).catch(() => {})
      }
    }
  }

  stop(): void {
    for (const who of this.people) who.stop()
  }

  #choice(who: RandomClient): readonly [string, () => Promise<unknown>] {
    const random = this.#random
    const chance = random.fraction()
    const away = this.people.filter(({ isOnline }) => !isOnline)
    const joined = who.rooms('join')
    if (chance < 0.02) return ['restart', () => who.restart()]
    if (chance < 0.04 && away.length < 2) return ['disconnect', async () => who.disconnect()]
    const returning = away[0]
    if (chance < 0.1 && returning) {
      return [`${returning.name} reconnects`, async () => returning.reconnect()]
    }
    if (joined.length === 0 || chance < 0.13) {
      if (this.roomIds.length < roomsMax) return ['create', () => this.#create(who)]
    }
    const invited = who.rooms('invite')
    if (invited.length > 0 && chance < 0.4) {
      const { roomId } = random.pick(invited)
      return random.happens(0.8)
        ? [`accept ${roomId}`, () => this.#join(who, roomId)]
        : [`decline ${roomId}`, () => who.client.leave(roomId)]
    }
    if (joined.length === 0 || chance < 0.18) {
      return ['join', () => this.#join(who, this.#noted(random.pick(this.roomIds)))]
    }
    const room = random.pick(joined)
    const total = this.#inRoom.reduce((sum, [weight]) => sum + weight, 0)
    let at = random.below(total)
    for (const [weight, name, act] of this.#inRoom) {
      at -= weight
      if (at < 0) return [`${name} in ${room.roomId}`, () => act(who, room)]
    }
    throw new Error('the weights do not add up')
  }

  #text(): string {
    return `${this.#random.pick(['ahoy', 'halyard', 'Käpt’n', '⚓', 'lee'])} ${this.#count}`
  }

  #somebody(): string {
    return this.#noted(this.#random.pick(this.people).userId)
  }

  #noted(note: string): string {
    this.#notes.push(note)
    return note
  }

  async #create(who: RandomClient): Promise<void> {
    const { room_id: roomId } = await who.client.createRoom({
      name: this.#text(),
      preset: this.#random.pick([Preset.PublicChat, Preset.PublicChat, Preset.PrivateChat]),
      room_version: this.#random.pick(versions),
      invite: [...new Set([this.#somebody(), this.#somebody()])].filter(
        (one) => one !== who.userId,
      ),
    })
    this.roomIds.push(roomId)
  }

  async #join(who: RandomClient, roomId: string): Promise<void> {
    await who.client.joinRoom(roomId, {
      viaServers: this.#servers.map(({ serverName }) => serverName),
    })
  }

  /** An event of a room, by whoever, if the client has one of the kind. */
  #event(room: Room, isMeant: (event: MatrixEvent) => boolean): MatrixEvent | undefined {
    const events = room
      .getLiveTimeline()
      .getEvents()
      .filter((event) => event.status === null && !event.isRedacted() && isMeant(event))
      .slice(-15)
    if (events.length === 0) return undefined
    const event = this.#random.pick(events)
    this.#noted(`${event.getType()} ${event.getId()}`)
    return event
  }

  #message(room: Room, sender?: string): MatrixEvent | undefined {
    return this.#event(room, (event) => {
      const isBy = sender === undefined || event.getSender() === sender
      return isBy && event.getType() === EventType.RoomMessage && event.getRelation() === null
    })
  }

  async #mention(who: RandomClient, room: Room): Promise<unknown> {
    return await who.client.sendMessage(room.roomId, {
      msgtype: MsgType.Text,
      body: this.#text(),
      'm.mentions': { user_ids: [this.#somebody()] },
    })
  }

  async #edit(who: RandomClient, room: Room): Promise<unknown> {
    const event = this.#message(room, who.userId)
    if (event === undefined) return undefined
    const body = this.#text()
    return await who.client.sendMessage(room.roomId, {
      msgtype: MsgType.Text,
      body: `* ${body}`,
      'm.new_content': { msgtype: MsgType.Text, body },
      'm.relates_to': { rel_type: RelationType.Replace, event_id: String(event.getId()) },
    })
  }

  async #react(who: RandomClient, room: Room): Promise<unknown> {
    const event = this.#message(room)
    if (event === undefined) return undefined
    return await who.client.sendEvent(room.roomId, EventType.Reaction, {
      'm.relates_to': {
        rel_type: RelationType.Annotation,
        event_id: String(event.getId()),
        key: `${this.#random.pick(['👍', '⚓'])}${this.#count}`,
      },
    })
  }

  async #redact(who: RandomClient, room: Room): Promise<unknown> {
    const event = this.#event(room, (one) => !one.isState() && one.getType() !== 'm.room.redaction')
    return event && (await who.client.redactEvent(room.roomId, String(event.getId())))
  }

  async #replyInThread(who: RandomClient, room: Room): Promise<unknown> {
    const event = this.#message(room)
    if (event === undefined) return undefined
    return await who.client.sendMessage(room.roomId, {
      msgtype: MsgType.Text,
      body: this.#text(),
      'm.relates_to': {
        rel_type: RelationType.Thread,
        event_id: String(event.getId()),
        'm.in_reply_to': { event_id: String(event.getId()) },
      },
    })
  }

  async #setLevel(who: RandomClient, room: Room): Promise<void> {
    const level = this.#random.pick([0, 25, 50, 100])
    await who.client.setPowerLevel(room.roomId, this.#somebody(), level)
  }

  async #sendReceipt(who: RandomClient, room: Room): Promise<void> {
    const event = this.#event(room, () => true)
    if (event === undefined) return
    const type = this.#random.pick([ReceiptType.Read, ReceiptType.Read, ReceiptType.ReadPrivate])
    if (this.#random.happens(0.2)) {
      this.#noted('with marker')
      await who.client.setRoomReadMarkers(room.roomId, String(event.getId()), event)
    } else {
      const isUnthreaded = this.#random.happens(0.5)
      this.#noted(`${type} ${isUnthreaded ? 'unthreaded' : 'threaded'}`)
      await who.client.sendReadReceipt(event, type, isUnthreaded)
    }
  }

  async #setAccountData(who: RandomClient, room: Room): Promise<void> {
    const content = { at: this.#count }
    if (this.#random.happens(0.5)) {
      await who.client.setRoomAccountData(room.roomId, EventType.Tag, { tags: {} })
    } else {
      await who.client.setAccountData(EventType.Direct, { '@x:y.test': [String(content.at)] })
    }
  }

  async #setTag(who: RandomClient, room: Room): Promise<void> {
    if (this.#random.happens(0.3)) await who.client.deleteRoomTag(room.roomId, 'm.favourite')
    else await who.client.setRoomTag(room.roomId, 'm.favourite', { order: this.#random.fraction() })
  }

  async #upgrade(who: RandomClient, room: Room): Promise<void> {
    if (room.currentState.getStateEvents(EventType.RoomTombstone, '')) return
    const { replacement_room: roomId } = await who.client.upgradeRoom(room.roomId, '12')
    this.roomIds.push(roomId)
  }
}

/** Takes back what was refused, which the library keeps to send it again. */
function giveUp({ client }: RandomClient): void {
  for (const room of client.getRooms()) {
    for (const event of [...room.getPendingEvents()]) {
      if (event.status === EventStatus.NOT_SENT) client.cancelPendingEvent(event)
    }
  }
}
