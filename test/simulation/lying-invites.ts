/**
 * Invites that are none, by which a liar would get another server's signature, or have it show its users
 * what nobody can read.
 *
 * @module
 */

import { roomVersions } from '../../src/protocol/room-version.ts'
import { idOf, type RawEvent, sealed, textOf } from '../scripted-peer/forged-event.ts'
import { type Liar, lyingRequest } from './lying-events.ts'
import { count } from './run.ts'

interface Invite {
  readonly event: RawEvent
  readonly room_version: unknown
  readonly invite_room_state: unknown
}

type Change = (invite: Invite, event: (change: RawEvent) => RawEvent) => Partial<Invite>

/** What must be refused, whatever else is right about it. */
const wrongs: Readonly<Record<string, Change>> = {
  'power levels': (_, event) => ({
    event: event({ type: 'm.room.power_levels', state_key: '', content: { users: {} } }),
  }),
  'a join': (_, event) => ({ event: event({ content: { membership: 'join' } }) }),
  'a ban': (_, event) => ({ event: event({ content: { membership: 'ban' } }) }),
  'of nobody': (_, event) => ({ event: event({ state_key: '' }) }),
  'a message': (_, event) => ({ event: event({ type: 'm.room.message', state_key: undefined }) }),
  'of another server’s user': (_, event) => ({ event: event({ state_key: '@u:nobody.test' }) }),
  'by another server': (_, event) => ({ event: event({ sender: '@u:nobody.test' }) }),
  'in another room': (_, event) => ({ event: event({ room_id: '!other:nobody.test' }) }),
  'an unknown version': () => ({ room_version: '99' }),
  'a version that is a number': () => ({ room_version: 10 }),
  'another version': () => ({ room_version: '1' }),
  'changed after it was signed': ({ event }) => ({ event: { ...event, depth: 7 } }),
  'no event': () => ({ event: null as unknown as RawEvent }),
}

/** What may be shown in part, or refused. */
const junkStates: readonly unknown[] = [
  null,
  [null, 7, 'x', [], {}],
  [{ type: 'm.room.name', state_key: '', content: null, sender: '@u:a.b' }],
  [{ type: 'm.room.name', state_key: '', content: { name: 7 }, sender: 7 }],
  [{ type: 'm.room.create', state_key: '', content: { type: null }, sender: '' }],
  Array.from({ length: 200 }, (_, index) => ({
    type: 'm.room.member',
    state_key: `@u${index}:a.b`,
    content: { membership: 'join' },
    sender: `@u${index}:a.b`,
  })),
  { type: 'm.room.name' },
  'x',
]

/** Invites somebody to a room that there is not. */
export async function junkInvite(liar: Liar): Promise<void> {
  const { run, random, server, client } = liar
  const strangers = run.clients.filter((one) => one.server !== server)
  if (strangers.length === 0) return
  const victim = random.pick(strangers)
  const version = roomVersions.get(random.pick(['6', '9', '10', '11']))
  if (version === undefined) return
  run.forgedIds += 1
  const roomId = `!junk${run.forgedIds}:${server.name}`
  const base: RawEvent = {
    type: 'm.room.member',
    room_id: roomId,
    sender: client.userId,
    state_key: victim.userId,
    content: { membership: 'invite' },
    depth: 5,
    origin_server_ts: server.running.server.clock.now(),
    prev_events: ['$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'],
    auth_events: ['$bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb'],
  }
  const event = (change: RawEvent) => sealed(version, { ...base, ...change }, server.ownSigner)
  const right: Invite = { event: event({}), room_version: version.id, invite_room_state: [] }
  const name = random.happens(0.6) ? random.pick(Object.keys(wrongs)) : undefined
  const change = wrongs[name ?? '']?.(right, event) ?? {
    invite_room_state: random.pick(junkStates),
  }
  const invite = { ...right, ...change }
  count(run, 'lie: junk invite')
  const eventId = idOf(version, invite.event ?? right.event)
  const path = `${encodeURIComponent(roomId)}/${encodeURIComponent(eventId)}`
  const answer = await lyingRequest(liar, victim.server, {
    method: 'PUT',
    target: `/_matrix/federation/v2/invite/${path}`,
    text: textOf(invite),
  })
  if (answer === undefined) return
  const said = Buffer.from(answer.body).toString()
  const isSigned = answer.status === 200 && said.includes(`"${victim.server.name}"`)
  if (name === undefined) count(run, `junk state of an invite ${isSigned ? 'taken' : 'refused'}`)
  else if (isSigned) {
    run.problems.push(`${victim.server.name} signed an invite that is ${name}: ${said}`)
  }
}
