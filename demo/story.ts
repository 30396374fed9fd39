/**
 * What happens in the demonstration: two towns share a room, are cut off from each other, and change
 * the same things on both sides; then they find together again.
 *
 * What is done during the cut is chosen so that state resolution has all kinds of things to decide:
 * who had the right (power), whose rights counted (mainline), and who came last (age).
 *
 * @module
 */

import {
  type Chapter,
  type DrawnRoom,
  type DrawnState,
  drawnRoom,
  type RoomGraph,
  stateKeyText,
} from '../src/room-picture/drawn-room.ts'
import { differingKeys } from '../src/room-picture/room-sections.ts'
import { type Client, eventually, type Json } from '../test/rig/client.ts'
import type { Narrator } from './narrator.ts'
import { settle, type Town, type Towns } from './towns.ts'

/** The people of the story, by their town. */
interface People {
  readonly anna: Client
  readonly arne: Client
  readonly birger: Client
  readonly brita: Client
  readonly bengt: Client
}

export interface Ending {
  readonly room: DrawnRoom
  readonly roomId: string
  readonly people: People
}

/** Plays the story on two servers that run. */
export async function play(towns: Towns, say: Narrator): Promise<Ending> {
  const [lübeck, visby] = towns.towns
  if (lübeck === undefined || visby === undefined) throw new Error('the story needs two towns')
  const chapters: Chapter[] = []
  const chapter = (title: string, isCut = false) => {
    say.title(title)
    chapters.push({ title, fromTs: Date.now(), isCut })
  }
  chapter('Two towns share a room')
  const people = await settleAll(say, lübeck, visby)
  const roomId = await meet(say, people, { lübeck, visby })

  towns.cut()
  chapter('The cut: nothing passes between the towns', true)
  await fallOut(say, people, roomId)
  const told = { chapters, towns: [lübeck, visby], people, roomId }
  const differing = differingKeys(await look(told))
  say.note(`The state of the room differs in ${differing.length} places.`)

  towns.heal()
  chapter('The cut is healed')
  await findTogether(say, people, roomId)
  return { room: await look(told), roomId, people }
}

async function settleAll(say: Narrator, lübeck: Town, visby: Town): Promise<People> {
  return await say.tell(
    'Anna and Arne live in Lübeck; Birger, Brita and Bengt live in Visby.',
    async () => {
      const [anna, arne, birger, brita, bengt] = await Promise.all([
        settle(lübeck, 'Anna', { admin: true }),
        settle(lübeck, 'Arne'),
        settle(visby, 'Birger', { admin: true }),
        settle(visby, 'Brita'),
        settle(visby, 'Bengt'),
      ])
      return { anna, arne, birger, brita, bengt }
    },
  )
}

async function meet(
  say: Narrator,
  { anna, arne, birger, brita, bengt }: People,
  { lübeck, visby }: { readonly lübeck: Town; readonly visby: Town },
): Promise<string> {
  const alias = `#league:${lübeck.process.serverName}`
  const roomId = await say.tell('Anna founds a room, open to all, with an alias.', () =>
    anna.createRoom({ preset: 'public_chat', room_alias_name: 'league', name: 'The League' }),
  )
  await say.tell('Arne joins it in Lübeck.', arne.join(alias))
  await say.tell('Anna invites Birger, across the sea.', async () => {
    await anna.member('invite', roomId, birger.userId)
    await eventually('the invite', async () => {
      const { rooms } = (await birger.sync()) as { rooms: { invite?: Json } }
      return rooms.invite?.[roomId] !== undefined
    })
  })
  await say.tell(
    'Birger joins: Visby fetches the room from Lübeck.',
    birger.join(roomId, [lübeck.process.serverName]),
  )
  await say.tell('Brita and Bengt join by the alias, which Visby looks up in Lübeck.', async () => {
    await brita.join(alias)
    await bengt.join(alias)
    await arrives(
      anna,
      roomId,
      async () => (await anna.membership(roomId, bengt.userId)) === 'join',
    )
  })
  await say.tell('Anna gives Birger the power 100, and Brita 50.', async () => {
    await changePower(anna, roomId, { [birger.userId]: 100, [brita.userId]: 50 })
    await arrives(birger, roomId, async () => (await powerOf(birger, roomId, brita.userId)) === 50)
  })
  await say.tell('“Welcome to the League!” is said in Lübeck, and read in Visby.', () =>
    sayTo(anna, [birger], roomId, 'Welcome to the League!'),
  )
  await say.tell('“Visby greets Lübeck.” is said in Visby, and read in Lübeck.', () =>
    sayTo(birger, [arne], roomId, 'Visby greets Lübeck.'),
  )
  await inStep([anna, birger], roomId)
  say.note(`${visby.title} and ${lübeck.title} hold the same state.`)
  return roomId
}

/** What each side does while it cannot hear the other. */
async function fallOut(
  say: Narrator,
  { anna, arne, birger, brita, bengt }: People,
  roomId: string,
): Promise<void> {
  await say.tell('Lübeck: Anna names the room “The League of Lübeck”.', () =>
    anna.setState(roomId, 'm.room.name', { name: 'The League of Lübeck' }),
  )
  await say.tell('Visby: Brita names it “The League of Visby”, a little later.', () =>
    brita.setState(roomId, 'm.room.name', { name: 'The League of Visby' }),
  )
  await say.tell('Lübeck: Anna takes all power from Birger.', () =>
    changePower(anna, roomId, { [birger.userId]: 0 }),
  )
  await say.tell('Visby: Birger, who has not heard of it, gives Bengt the power 75.', () =>
    changePower(birger, roomId, { [bengt.userId]: 75 }),
  )
  await say.tell('Visby: Birger kicks Arne.', () =>
    birger.member('kick', roomId, arne.userId, 'for not answering'),
  )
  await say.tell('Lübeck: Anna bans Bengt.', () =>
    anna.member('ban', roomId, bengt.userId, 'smuggling'),
  )
  await say.tell('Lübeck: Anna sets the topic.', () =>
    anna.setState(roomId, 'm.room.topic', { topic: 'The price of salt' }),
  )
  await say.tell('Visby: Brita sets the topic, too, and last.', () =>
    brita.setState(roomId, 'm.room.topic', { topic: 'The price of herring' }),
  )
  await say.tell('Lübeck: Arne asks whether anybody is there.', () =>
    arne.send(roomId, 'Is anybody there in Visby?'),
  )
  await say.tell('Visby: Bengt speaks, as he may there.', () =>
    bengt.send(roomId, 'Nobody in Lübeck can hear me!'),
  )
}

async function findTogether(say: Narrator, people: People, roomId: string): Promise<void> {
  const { anna, arne, birger, brita } = people
  await say.tell('The servers try again, fetch what they missed, and resolve the state.', () =>
    inStep([anna, birger], roomId, 'Is anybody there in Visby?'),
  )
  await say.tell('“We are one League again.” is said in Lübeck, and read in Visby.', () =>
    sayTo(anna, [birger, brita], roomId, 'We are one League again.'),
  )
  await say.tell('“So we are.” is said in Visby, and read in Lübeck.', () =>
    sayTo(brita, [anna, arne], roomId, 'So we are.'),
  )
  await say.tell('Both servers are asked for the state and the graph of the room.', () =>
    inStep([anna, birger], roomId),
  )
}

/** Sends a message and waits until others can read it. */
async function sayTo(
  speaker: Client,
  readers: readonly Client[],
  roomId: string,
  body: string,
): Promise<void> {
  await speaker.send(roomId, body)
  for (const reader of readers) await arrives(reader, roomId, () => hasRead(reader, roomId, body))
}

async function hasRead(reader: Client, roomId: string, body: string): Promise<boolean> {
  const events = await reader.history(roomId, 20)
  return events.some(({ content }) => content.body === body)
}

async function arrives(
  reader: Client,
  roomId: string,
  look: () => Promise<boolean>,
): Promise<void> {
  await eventually(`${reader.userId} sees it in ${roomId}`, look)
}

/** Waits until the users' servers have the same state, and what is told of `body` has been read. */
async function inStep(users: readonly Client[], roomId: string, body?: string): Promise<void> {
  await eventually('the same state on both servers', async () => {
    const states = await Promise.all(users.map((user) => stateOf(user, roomId)))
    const texts = states.map((state) => JSON.stringify([...state].sort()))
    if (texts.some((text) => text !== texts[0])) return false
    if (body === undefined) return true
    const read = await Promise.all(users.map((user) => hasRead(user, roomId, body)))
    return read.every(Boolean)
  })
}

async function stateOf(user: Client, roomId: string): Promise<DrawnState> {
  const events = await user.state(roomId)
  return new Map(
    events.map(({ type, state_key = '', event_id }) => [stateKeyText(type, state_key), event_id]),
  )
}

interface Levels extends Json {
  readonly users?: Readonly<Record<string, number>>
}

async function powerOf(
  reader: Client,
  roomId: string,
  userId: string,
): Promise<number | undefined> {
  const levels: Levels = await reader.stateContent(roomId, 'm.room.power_levels')
  return levels.users?.[userId]
}

async function changePower(
  user: Client,
  roomId: string,
  changes: Readonly<Record<string, number>>,
): Promise<void> {
  const levels: Levels = await user.stateContent(roomId, 'm.room.power_levels')
  const users = { ...levels.users, ...changes }
  await user.setState(roomId, 'm.room.power_levels', { ...levels, users })
}

/** What both servers know of the room at this moment. */
async function look(at: {
  readonly chapters: readonly Chapter[]
  readonly towns: readonly Town[]
  readonly people: People
  readonly roomId: string
}): Promise<DrawnRoom> {
  const { roomId, people, towns, chapters } = at
  const admins = [people.anna, people.birger]
  const graphs = new Map<string, RoomGraph>()
  const states = new Map<string, DrawnState>()
  for (const [index, { process }] of towns.entries()) {
    const admin = admins[index]
    if (admin === undefined) continue
    graphs.set(process.serverName, await graphOf(admin, roomId))
    states.set(process.serverName, await stateOf(admin, roomId))
  }
  const servers = towns.map(({ title, process }) => ({ name: process.serverName, title }))
  return drawnRoom({ title: 'The League', servers, chapters, graphs, states })
}

async function graphOf(admin: Client, roomId: string): Promise<RoomGraph> {
  const path = `/_hansa/admin/v1/rooms/${encodeURIComponent(roomId)}/graph?limit=1000`
  const response = await fetch(`${admin.baseUrl}${path}`, {
    headers: { authorization: `Bearer ${admin.token}` },
  })
  if (!response.ok) throw new Error(`no graph of ${roomId}: ${await response.text()}`)
  return (await response.json()) as RoomGraph
}
