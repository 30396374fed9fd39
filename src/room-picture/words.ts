/**
 * What events say, in words.
 *
 * @module
 */

import { type DrawnEvent, type DrawnRoom, stateKeyText } from './drawn-room.ts'

/** How the people and events of a room are spoken of. */
export class Words {
  readonly #names = new Map<string, string>()
  readonly #byId: ReadonlyMap<string, DrawnEvent>

  constructor(room: Pick<DrawnRoom, 'events'>) {
    this.#byId = new Map(room.events.map((event) => [event.event_id, event]))
    for (const { type, state_key, sender, content } of room.events) {
      if (type !== 'm.room.member' || state_key === undefined) continue
      const { displayname } = content
      if (typeof displayname === 'string' && (sender === state_key || !this.#names.has(state_key)))
        this.#names.set(state_key, displayname)
    }
  }

  /** What a user is called. */
  name(userId: string): string {
    return this.#names.get(userId) ?? userId.slice(1).split(':', 1)[0] ?? userId
  }

  /** What a key of the state is about. */
  key(type: string, stateKey: string): string {
    if (type === 'm.room.member') return `Membership of ${this.name(stateKey)}`
    const known = keyTitles[type]
    return known !== undefined && stateKey === '' ? known : stateKeyText(type, stateKey)
  }

  /** What the sender of an event did: it goes on after their name. */
  act(event: DrawnEvent): string {
    const { type, content } = event
    if (type === 'm.room.message') return `says “${text(content.body)}”`
    if (type === 'm.room.create') return 'creates the room'
    if (type === 'm.room.member') return this.#membershipAct(event)
    if (type === 'm.room.power_levels') return `changes power: ${this.#powerChange(event)}`
    const title = keyTitles[type]
    const value = mainValue(event)
    if (title !== undefined) return `sets the ${title.toLowerCase()} to ${quoted(type, value)}`
    return `sends ${type}`
  }

  #membershipAct({ sender, state_key = '', content, auth_events }: DrawnEvent): string {
    const { membership, reason } = content
    const target = this.name(state_key)
    const why = typeof reason === 'string' ? ` (“${reason}”)` : ''
    if (sender === state_key) {
      if (membership === 'join') return 'joins'
      return membership === 'knock' ? `knocks${why}` : `leaves${why}`
    }
    const before = this.#events(auth_events).find(
      (event) => event.type === 'm.room.member' && event.state_key === state_key,
    )
    if (membership === 'invite') return `invites ${target}${why}`
    if (membership === 'ban') return `bans ${target}${why}`
    return `${before?.content.membership === 'ban' ? 'unbans' : 'kicks'} ${target}${why}`
  }

  #powerChange({ content, auth_events }: DrawnEvent): string {
    const before = this.#events(auth_events).find(({ type }) => type === 'm.room.power_levels')
    const [old, now] = [levelsOf(before?.content), levelsOf(content)]
    const changes: string[] = []
    for (const key of new Set([...old.keys(), ...now.keys()])) {
      const [from, to] = [old.get(key), now.get(key)]
      if (from === to) continue
      const who = key.startsWith('@') ? this.name(key) : key
      changes.push(before ? `${who} ${from ?? 'default'} → ${to ?? 'default'}` : `${who} ${to}`)
    }
    if (!before) changes.splice(0, changes.length, ...changes.filter((one) => !/^[a-z]/.test(one)))
    return changes.join(', ') || (before ? 'nothing' : 'the levels to begin with')
  }

  /** What stands at a key of the state, as briefly as can be said. */
  value(event: DrawnEvent): string {
    const { type, content, sender, state_key } = event
    if (type === 'm.room.create')
      return `by ${this.name(sender)}, version ${text(content.room_version)}`
    if (type === 'm.room.member') {
      const by = sender === state_key ? '' : ` (by ${this.name(sender)})`
      return `${text(content.membership)}${by}`
    }
    if (type === 'm.room.power_levels') {
      const users = [...levelsOf(content)].filter(([key]) => key.startsWith('@'))
      const shown = users.map(([user, level]) => `${this.name(user)} ${level}`)
      return shown.join(', ') || 'defaults'
    }
    return mainValue(event)
  }

  #events(ids: readonly string[]): DrawnEvent[] {
    return ids.flatMap((id) => this.#byId.get(id) ?? [])
  }
}

const keyTitles: Readonly<Record<string, string>> = {
  'm.room.create': 'Creation',
  'm.room.power_levels': 'Power levels',
  'm.room.join_rules': 'Join rule',
  'm.room.name': 'Name',
  'm.room.topic': 'Topic',
  'm.room.canonical_alias': 'Main alias',
  'm.room.history_visibility': 'History visibility',
  'm.room.guest_access': 'Guest access',
}

const mainFields: Readonly<Record<string, string>> = {
  'm.room.join_rules': 'join_rule',
  'm.room.name': 'name',
  'm.room.topic': 'topic',
  'm.room.canonical_alias': 'alias',
  'm.room.history_visibility': 'history_visibility',
  'm.room.guest_access': 'guest_access',
}

function mainValue({ type, content }: DrawnEvent): string {
  const field = mainFields[type]
  return field === undefined ? JSON.stringify(content) : text(content[field])
}

function quoted(type: string, value: string): string {
  return type === 'm.room.name' || type === 'm.room.topic' ? `“${value}”` : value
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '')
}

/** Users by ID and other levels by name, as texts. */
function levelsOf(content: DrawnEvent['content'] | undefined): Map<string, string> {
  const levels = new Map<string, string>()
  for (const [key, value] of Object.entries(content ?? {})) {
    if (typeof value !== 'object' || value === null) levels.set(key, text(value))
    else for (const [name, level] of Object.entries(value)) levels.set(name, text(level))
  }
  return levels
}
