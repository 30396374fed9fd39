/**
 * Chains of events that lead ever further: each answer of the liar names events that nobody knows, and
 * another answer would give those, and name more. Who follows them comes to no end. Others lead into the
 * room, and lie about how deep they are.
 *
 * The chain is made before it is shown, from its far end on, since events name others by their hashes; it
 * is longer than anybody should follow it.
 *
 * @module
 */

import { createHash } from 'node:crypto'
import type { RoomVersion } from '../../src/protocol/room-version.ts'
import { idOf, type RawEvent, textOf } from '../scripted-peer/forged-event.ts'
import { authOf } from './forge.ts'
import {
  drafted,
  isAllowed,
  type Liar,
  lyingTransaction,
  others,
  references,
  sendHonest,
  signedBy,
} from './lying-events.ts'
import { type AskedOf, json, type Mask, type Reply } from './mask.ts'
import { count, type Run } from './run.ts'
import type { SimulatedServer } from './simulated-server.ts'

/** How many events a chain has, and how many of them an answer gives. */
const chainLength = 60
const perAnswer = 3

/** The chains that a liar has made, by their events. */
class Chain {
  readonly name: string
  readonly #events = new Map<string, { readonly text: string; readonly before: string }>()
  /** How often each server has asked for events of it. */
  readonly askedBy = new Map<SimulatedServer, number>()

  constructor(name: string) {
    this.name = name
  }

  add(id: string, text: string, before: string): void {
    this.#events.set(id, { text, before })
  }

  has(id: string): boolean {
    return this.#events.has(id)
  }

  /** Some events from one on, the latest first. */
  from(id: string): string[] {
    const texts: string[] = []
    let next: string | undefined = id
    while (next !== undefined && texts.length < perAnswer) {
      const event = this.#events.get(next)
      if (event !== undefined) texts.push(event.text)
      next = event?.before
    }
    return texts
  }

  before(id: string): string {
    return this.#events.get(id)?.before ?? ''
  }
}

/** Sends a message whose history never ends. */
export async function endlessGap(liar: Liar): Promise<void> {
  const { version } = liar.place
  const claim = { type: 'm.room.message', content: { body: 'endless' } }
  const depthAt = depthsOf(liar)
  await sendEnd(liar, 'endless gap', (before, index) =>
    drafted(liar, claim, {
      prev_events: [referenceIn(version, before)],
      depth: depthAt(index),
    }),
  )
}

/** Sends a message of a member whose membership leads to another one, and so on. */
export async function endlessAuthChain(liar: Liar): Promise<void> {
  const { version } = liar.place
  const { userId } = liar.client
  const member = {
    type: 'm.room.member',
    state_key: userId,
    content: { membership: 'join', displayname: 'endless' },
  }
  const depthAt = depthsOf(liar)
  await sendEnd(liar, 'endless auth chain', (before, index) => {
    const isLast = index === chainLength - 1
    const claim = isLast ? { type: 'm.room.message', content: { body: 'endless' } } : member
    const auth = authOf(liar.client, liar.place, claim).filter((pdu) => pdu.state_key !== userId)
    const named = referenceIn(version, before)
    return drafted(liar, claim, {
      auth_events: [...references(version, auth), named],
      depth: depthAt(index),
    })
  })
}

/** How many messages say that they are deeper, or less deep, than they are. */
const deepLength = 3

/**
 * Says some things with depths that are not true, each after the one before, and sends only the last of
 * them, to some.
 */
export async function depthsThatLie(liar: Liar): Promise<void> {
  const { run, random, place } = liar
  const { version, prevs } = place
  const depth = random.pick([0, 1, Number.MAX_SAFE_INTEGER - deepLength])
  const chain = new Chain('depths that lie')
  let last: RawEvent | undefined
  for (let index = 0; index < deepLength; index += 1) {
    const claim = { type: 'm.room.message', content: { body: `at ${depth + index}` } }
    const before = last && idOf(version, last)
    const after = before && { prev_events: [referenceIn(version, before)] }
    const event = signedBy(liar, drafted(liar, claim, { depth: depth + index, ...after }))
    if (!isAllowed(liar, event)) return
    chain.add(idOf(version, event), textOf(event), before ?? prevs[0]?.event_id ?? '')
    last = event
  }
  if (last === undefined) return
  show(liar, chain)
  count(run, 'lie: depths that lie')
  const told = others(liar).filter(() => random.happens(0.6))
  for (const to of told) await sendHonest(liar, to, last)
}

function referenceIn({ referencesHaveHashes }: RoomVersion, id: string): unknown {
  return referencesHaveHashes ? [id, { sha256: hashOf(id) }] : id
}

/**
 * How deep a chain says that it is: mostly it ends where the room does, so that it looks like its
 * history.
 */
function depthsOf({ place, random }: Liar): (index: number) => number {
  const end = Math.max(...place.prevs.map(({ depth }) => depth)) + 1
  const likely = end - chainLength
  const first = random.pick([likely, likely, likely, 0, Number.MAX_SAFE_INTEGER - chainLength])
  return (index) => Math.max(1, first + index)
}

async function sendEnd(
  liar: Liar,
  name: string,
  make: (before: string, index: number) => RawEvent,
): Promise<void> {
  const { version } = liar.place
  const chain = new Chain(name)
  let before = idOf(version, signedBy(liar, make(nobodysId(liar), 0)))
  let text = ''
  for (let index = 0; index < chainLength; index += 1) {
    const event = signedBy(liar, make(before, index))
    const id = idOf(version, event)
    text = textOf(event)
    chain.add(id, text, before)
    before = id
  }
  show(liar, chain)
  await Promise.all(others(liar).map((to) => lyingTransaction(liar, to, { pdus: [text] })))
}

/** From here on the chain is given to who asks. */
function show(liar: Liar, chain: Chain): void {
  chainsOf(liar.run).push(chain)
  liar.server.masks.push(giving(liar, chain))
  count(liar.run, `${chain.name} sent`)
}

function nobodysId({ run, server, place }: Liar): string {
  return place.version.eventId === 'in-event'
    ? `$no${run.forgedIds}:${server.name}`
    : `$${'A'.repeat(43)}`
}

function hashOf(id: string): string {
  return createHash('sha256').update(id).digest('base64').replace('=', '')
}

/** Gives the events of the chain to who asks for them, as long as the liar lies. */
function giving({ run }: Liar, chain: Chain): Mask {
  return {
    answer: async (asked, honest) => {
      const id = idsAskedFor(asked).find((one) => chain.has(one))
      if (id === undefined || run.isHealed) return await honest()
      chain.askedBy.set(asked.asker, (chain.askedBy.get(asked.asker) ?? 0) + 1)
      count(run, `lie: ${chain.name}`)
      return answerFor(asked.operation, chain, id) ?? (await honest())
    },
  }
}

function answerFor(operation: string, chain: Chain, id: string): Reply | undefined {
  const list = (ids: readonly string[]) => ids.map((text) => JSON.parse(text) as object)
  switch (operation) {
    case 'event':
      return json(200, { pdus: list(chain.from(id)).slice(0, 1) })
    case 'backfill':
      return json(200, { pdus: list(chain.from(id)) })
    case 'get_missing_events':
      return json(200, { events: list(chain.from(chain.before(id))).toReversed() })
    case 'event_auth':
      return json(200, { auth_chain: list(chain.from(chain.before(id))) })
    default:
      return undefined
  }
}

function idsAskedFor({ operation, params, query, body }: AskedOf): readonly string[] {
  switch (operation) {
    case 'event':
      return params
    case 'event_auth':
      return params.slice(1)
    case 'backfill':
      return query.getAll('v')
    case 'get_missing_events': {
      const { latest_events: latest } = JSON.parse(Buffer.from(body).toString())
      return Array.isArray(latest) ? latest : []
    }
    default:
      return []
  }
}

const chains = new WeakMap<Run, Chain[]>()

function chainsOf(run: Run): Chain[] {
  return chains.getOrInsertComputed(run, () => [])
}

/**
 * How often a server may ask for the events of one chain in all of a run. It follows the chain again when
 * who sent it answers again, and after pauses that get longer, but begin anew with whatever else comes
 * that lacks something: some twenty times in a run in which much happens.
 */
const asksMax = 25 * chainLength

/** Who was led on has stopped. */
export function endsOfChains(run: Run): void {
  for (const { name, askedBy } of chainsOf(run)) {
    for (const [{ name: asker }, asked] of askedBy) {
      if (asked > asksMax) run.problems.push(`${asker} asked ${asked} times for an ${name}`)
      else if (asked > 100) count(run, `${name}: asked for more than 100 times`)
    }
  }
}
