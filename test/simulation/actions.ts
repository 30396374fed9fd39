/**
 * What people do, drawn from a seed.
 *
 * @module
 */

import type { SeededRandom } from '../../src/io/simulated/simulated-random.ts'
import type { SimulatedClient } from './client.ts'
import { forge, fork } from './forge.ts'
import type { Run } from './run.ts'

/** Who acts, where, and perhaps on whom. */
export interface Actor {
  readonly run: Run
  /** For this act alone. */
  readonly random: SeededRandom
  readonly client: SimulatedClient
  readonly roomId: string
  readonly other: SimulatedClient
}

interface Action {
  /** How often it is chosen, beside the others. */
  readonly weight: number
  readonly act: (actor: Actor) => Promise<unknown>
}

const actions: Readonly<Record<string, Action>> = {
  send: {
    weight: 50,
    act: (actor) => said(actor, actor.client.send(actor.roomId, `message ${below(actor, 1000)}`)),
  },
  topic: {
    weight: 9,
    act: (actor) => state(actor, 'm.room.topic', { topic: `topic ${below(actor, 1000)}` }),
  },
  levels: { weight: 7, act: (actor) => said(actor, changeLevels(actor)) },
  kick: { weight: 5, act: (actor) => member('kick', actor) },
  ban: { weight: 5, act: (actor) => member('ban', actor) },
  unban: { weight: 5, act: (actor) => member('unban', actor) },
  invite: { weight: 3, act: (actor) => member('invite', actor) },
  join: { weight: 7, act: ({ client, roomId, run }) => client.join(roomId, serverNames(run)) },
  knock: { weight: 1, act: ({ client, roomId, run }) => client.knock(roomId, serverNames(run)) },
  leave: { weight: 3, act: ({ client, roomId }) => client.leave(roomId) },
  rename: { weight: 2, act: (actor) => actor.client.rename(`name ${below(actor, 100)}`) },
  'join rules': { weight: 3, act: (actor) => state(actor, 'm.room.join_rules', joinRules(actor)) },
  visibility: {
    weight: 1,
    act: (actor) => {
      const history_visibility = pick(actor, ['world_readable', 'shared', 'invited', 'joined'])
      return state(actor, 'm.room.history_visibility', { history_visibility })
    },
  },
  redact: { weight: 3, act: redact },
  typing: { weight: 1, act: ({ client, roomId }) => client.startTyping(roomId) },
  receipt: { weight: 1, act: receipt },
  forge: { weight: 2, act: ({ run, ...forgery }) => forge(run, forgery) },
  'to device': { weight: 5, act: toDevice },
  fork: { weight: 3, act: ({ run, ...forgery }) => fork(run, forgery) },
  'read back': { weight: 1, act: ({ client, roomId }) => client.readToTheStart(roomId) },
}

const weights = Object.values(actions).reduce((sum, { weight }) => sum + weight, 0)

/** Draws what is done. */
export function drawAct(random: SeededRandom): string {
  let left = random.below(weights)
  for (const [what, { weight }] of Object.entries(actions)) {
    left -= weight
    if (left < 0) return what
  }
  throw new RangeError('no action is left')
}

/** Begins to do something. */
export async function act(what: string, actor: Actor): Promise<unknown> {
  return await actions[what]?.act(actor)
}

function below({ random }: Actor, limit: number): number {
  return random.below(limit)
}

function pick<T>({ random }: Actor, things: readonly T[]): T {
  return random.pick(things)
}

function serverNames({ world }: Run): string[] {
  return world.servers.map((server) => server.name)
}

function member(action: string, { client, roomId, other }: Actor): Promise<unknown> {
  return client.member(action, roomId, other.userId)
}

function state(actor: Actor, type: string, content: Record<string, unknown>): Promise<unknown> {
  return said(actor, actor.client.setState(actor.roomId, type, content))
}

/** Also rules that the room's version does not know: then nobody can join. */
function joinRules(actor: Actor): Record<string, unknown> {
  const join_rule = pick(actor, ['public', 'public', 'invite', 'knock', 'restricted'])
  if (join_rule !== 'restricted') return { join_rule }
  const allow = [{ type: 'm.room_membership', room_id: pick(actor, actor.run.rooms).roomId }]
  return { join_rule, allow }
}

async function changeLevels(actor: Actor): Promise<string> {
  const { client, roomId, other } = actor
  const level = pick(actor, [0, 50, 90])
  const levels = await client.stateContent(roomId, 'm.room.power_levels')
  const users = { ...(levels.users as object), [other.userId]: level }
  return await client.setState(roomId, 'm.room.power_levels', { ...levels, users })
}

function redact(actor: Actor): Promise<unknown> {
  const { run, client, roomId } = actor
  const sent = run.acknowledged.filter((one) => one.roomId === roomId)
  if (sent.length === 0) return said(actor, client.send(roomId, 'nothing to redact'))
  return said(actor, client.redact(roomId, pick(actor, sent).eventId))
}

async function receipt(actor: Actor): Promise<void> {
  const { run, client, roomId } = actor
  const sent = run.acknowledged.filter((one) => one.roomId === roomId)
  if (sent.length > 0) await client.receipt(roomId, pick(actor, sent).eventId)
}

/** What a server has acknowledged is to come to the other's device, once. */
async function toDevice({ run, client: by, other: to }: Actor): Promise<void> {
  run.deviceTexts += 1
  const text = `to device ${run.deviceTexts}`
  const sentAtMs = run.world.time.elapsedMs
  await by.sendToDevice(to, text)
  run.deviceMessages.push({ from: by, to, text, sentAtMs })
}

/** Notes that a server took responsibility for an event. */
async function said({ run, client: by, roomId }: Actor, sent: Promise<string>): Promise<string> {
  const sentAtMs = run.world.time.elapsedMs
  const eventId = await sent
  run.acknowledged.push({ roomId, eventId, by, sentAtMs })
  return eventId
}
