/**
 * A small Matrix client for browsers: encrypted rooms with messages and images, invites, pictures of
 * rooms. What it does is what larger ones do, with the library that Element Web is made with.
 *
 * @module
 */

import {
  ClientEvent,
  EventType,
  type MatrixClient,
  type MatrixEvent,
  MatrixEventEvent,
  MsgType,
  Preset,
  ReceiptType,
  type Room,
  RoomEvent,
  RoomMemberEvent,
} from 'matrix-js-sdk'
import type { ImageContent } from 'matrix-js-sdk/lib/types.js'
import { decrypted, imageMessage } from './attachment.ts'
import { resumed, signIn, signOut } from './session.ts'

function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const element = document.getElementById(id)
  if (element === null) throw new Error(`there is no ${id}`)
  return element as T
}

/** Does something at an event, and shows what went wrong. */
function on(target: EventTarget, type: string, work: () => Promise<void>): void {
  target.addEventListener(type, (event) => {
    event.preventDefault()
    work().catch((error) => {
      byId('problem').textContent = String(error)
    })
  })
}

/** The values of a form, which is emptied. */
function taken(form: HTMLFormElement): Record<string, string> {
  const values = Object.fromEntries(new FormData(form)) as Record<string, string>
  form.reset()
  return values
}

class Page {
  readonly #client: MatrixClient
  #roomId = localStorage.getItem('room') ?? ''
  /** Lines of the timeline that stay as they are, by the event's ID. */
  readonly #images = new Map<string, HTMLImageElement>()
  #willRender = false

  constructor(client: MatrixClient) {
    this.#client = client
  }

  show(): void {
    const client = this.#client
    const render = () => this.#renderSoon()
    client.on(ClientEvent.Sync, render)
    client.on(RoomEvent.Timeline, render)
    client.on(RoomEvent.LocalEchoUpdated, render)
    client.on(RoomEvent.Receipt, render)
    client.on(RoomMemberEvent.Typing, render)
    client.on(MatrixEventEvent.Decrypted, render)
    this.#listen()
    byId('sign-in').hidden = true
    byId('client').hidden = false
    byId('own-name').textContent = client.getUserId()
    this.#render()
  }

  #listen(): void {
    const client = this.#client
    on(byId('new-room'), 'submit', () => this.#createRoom())
    on(byId('composer'), 'submit', async () => {
      const { body = '' } = taken(byId('composer'))
      if (body === '') return
      await client.sendTextMessage(this.#roomId, body)
      await client.sendTyping(this.#roomId, false, 0)
    })
    on(byId('composer'), 'input', async () => {
      await client.sendTyping(this.#roomId, true, 20_000)
    })
    on(byId('new-image'), 'change', async () => {
      const [file] = byId<HTMLInputElement>('new-image').files ?? []
      if (file) await client.sendMessage(this.#roomId, await imageMessage(client, file))
    })
    on(byId('new-picture'), 'change', async () => {
      const [file] = byId<HTMLInputElement>('new-picture').files ?? []
      if (!file) return
      const { content_uri: url } = await client.uploadContent(file)
      await client.sendStateEvent(this.#roomId, EventType.RoomAvatar, { url })
    })
    on(byId('accept'), 'click', async () => {
      await client.joinRoom(this.#roomId)
    })
    on(byId('sign-out'), 'click', async () => {
      await signOut(client)
      location.reload()
    })
  }

  async #createRoom(): Promise<void> {
    const { name = '', invite = '' } = taken(byId('new-room'))
    const encryption = {
      type: EventType.RoomEncryption,
      state_key: '',
      content: { algorithm: 'm.megolm.v1.aes-sha2' },
    }
    const { room_id: roomId } = await this.#client.createRoom({
      name,
      invite: [invite],
      preset: Preset.TrustedPrivateChat,
      initial_state: [encryption],
    })
    this.#open(roomId)
  }

  #open(roomId: string): void {
    this.#roomId = roomId
    localStorage.setItem('room', roomId)
    this.#renderSoon()
  }

  #renderSoon(): void {
    if (this.#willRender) return
    this.#willRender = true
    requestAnimationFrame(() => {
      this.#willRender = false
      this.#render()
    })
  }

  #render(): void {
    byId('rooms').replaceChildren(
      ...this.#client.getVisibleRooms().map((room) => this.#entry(room)),
    )
    const room = this.#client.getRoom(this.#roomId)
    const membership = room?.getMyMembership()
    byId('room').hidden = membership !== 'join'
    byId('invite').hidden = membership !== 'invite'
    if (room === null) return
    if (membership === 'join') this.#renderRoom(room)
    byId('invite-name').textContent = room.name
    const own = room.getMember(this.#client.getSafeUserId())
    byId('invite-from').textContent = `${own?.events.member?.getSender()} invites you`
  }

  #entry(room: Room): HTMLElement {
    const entry = document.createElement('li')
    entry.textContent = room.name
    entry.ariaCurrent = String(room.roomId === this.#roomId)
    entry.onclick = () => this.#open(room.roomId)
    const unread = room.getUnreadNotificationCount()
    if (unread > 0) {
      const count = document.createElement('span')
      count.className = 'unread'
      count.textContent = String(unread)
      entry.append(count)
    }
    return entry
  }

  #renderRoom(room: Room): void {
    byId('room-name').textContent = room.name
    const members = room.getJoinedMembers().map(({ name }) => name)
    byId('room-members').textContent = `In the room: ${members.sort().join(', ')}`
    const picture = byId<HTMLImageElement>('room-picture')
    const url = room.getMxcAvatarUrl()
    const source = url && this.#client.mxcUrlToHttp(url, 80, 80, 'crop', false, true, true)
    picture.hidden = !source
    if (source && picture.src !== source) picture.src = source
    const timeline = byId('timeline')
    const events = room.getLiveTimeline().getEvents()
    timeline.replaceChildren(...events.flatMap((event) => this.#line(event) ?? []))
    timeline.scrollTop = timeline.scrollHeight
    const own = this.#client.getUserId()
    const typing = room.getMembers().filter((member) => member.typing && member.userId !== own)
    byId('typing').textContent = typing.map(({ name }) => `${name} is typing`).join()
    this.#tellRead(room)
  }

  #tellRead(room: Room): void {
    const own = this.#client.getSafeUserId()
    const last = room.getLastLiveEvent()
    if (!last || last.status !== null || last.getSender() === own) return
    if (room.hasUserReadEvent(own, last.getId() ?? '')) return
    this.#client.sendReadReceipt(last, ReceiptType.Read).catch(() => {})
  }

  #line(event: MatrixEvent): HTMLElement | undefined {
    const line = document.createElement('li')
    const sender = event.sender?.name ?? event.getSender()
    const member = event.getContent().membership
    if (event.getType() === EventType.RoomMember) {
      line.className = 'note'
      line.textContent = `${event.getStateKey()}: ${member}`
      return line
    }
    if (event.getType() !== EventType.RoomMessage && !event.isEncrypted()) return
    const isOwn = event.getSender() === this.#client.getUserId()
    line.className = event.isDecryptionFailure() ? 'broken' : isOwn ? 'own' : 'theirs'
    const about = document.createElement('small')
    const isSafe = event.isEncrypted() ? 'encrypted' : 'NOT ENCRYPTED'
    about.textContent = `${sender} · ${isSafe}${event.status === null ? '' : ` · ${event.status}`}`
    line.append(about)
    if (event.getContent().msgtype === MsgType.Image) line.append(this.#image(event))
    else line.append(String(event.getContent().body ?? ''))
    return line
  }

  #image(event: MatrixEvent): HTMLImageElement {
    const key = event.getTxnId() ?? event.getId() ?? ''
    const shown = this.#images.get(key)
    if (shown) return shown
    const image = document.createElement('img')
    this.#images.set(key, image)
    const { body, info, file } = event.getContent<ImageContent>()
    image.alt = body
    const show = async (what: typeof file, type = '') => {
      if (what) image.src = URL.createObjectURL(await decrypted(this.#client, what, type))
    }
    const fail = (error: unknown) => {
      image.alt = String(error)
    }
    show(info?.thumbnail_file, info?.thumbnail_info?.mimetype).catch(fail)
    // The whole image, when it is asked for.
    on(image, 'click', () => show(file, info?.mimetype))
    return image
  }
}

on(byId('sign-in'), 'submit', async () => {
  const { user = '', password = '' } = taken(byId('sign-in'))
  new Page(await signIn(user, password)).show()
})

const client = await resumed()
byId('sign-in').hidden = client !== undefined
if (client) new Page(client).show()
