/**
 * Guards against what keeps a server from its work (section D).
 *
 * @module
 */

import { type Guard, one, out, ruleCases, seenBy, timeUp } from './guard.ts'

const strippedState = 'src/rooms/stripped-state.ts'
const jsonReader = 'src/protocol/json-reader.ts'
const remoteMedia = 'src/media/remote-media.ts'
const urlPreviews = 'src/media/url-previews.ts'

const hostilePeer = (title: string, cases?: string) =>
  seenBy('test/hostile-peer.test.ts', title, cases)
const sender = (title: string) => seenBy('src/federation/sender/sender.test.ts', title)
const devices = (title: string) => seenBy('test/devices-across-servers.test.ts', title)
const media = (title: string) => seenBy('test/media.test.ts', title)
const links = (title: string) => seenBy('src/media/url-previews.test.ts', title)

const poisonGuards: readonly Guard[] = [
  one(
    'D1',
    'how much of the state of an invite or knock is kept',
    [strippedState, 'if (bytes + size > keptBytesMax) return false'],
    hostilePeer('of the state that comes with invites and knocks, a little is kept'),
  ),
  one(
    'D2',
    'the suspicion that it is for its content that a transaction is refused',
    [
      'src/federation/sender/divide.ts',
      'const patience = isSilence ? silencePatience : suspicious.get(status ?? 0)',
      'const patience = undefined as number | undefined',
    ],
    sender(
      'one event that is met with ${status} is put aside within a minute, and all others are delivered',
    ),
  ),
  one(
    'D2',
    'the division of messages to devices',
    [
      'src/users/direct-to-device.ts',
      'if (size + bytes > eduBytesMax) {',
      'if (parts.length === 0) {',
    ],
    seenBy(
      'src/users/to-device.test.ts',
      'what one server is sent at once is divided, so that no part is refused for its size',
    ),
  ),
  one(
    'D2',
    'the size of a message to a device',
    [
      'src/users/to-device.ts',
      'if (Buffer.byteLength(content) <= messageBytesMax) return',
      'return',
    ],
    seenBy(
      'src/client-api/to-device.test.ts',
      'what is malformed or too large is refused, and messages end with their device',
    ),
  ),
  one(
    'D3',
    'the owner of device keys that are uploaded',
    [
      'src/users/end-to-end/device-keys.ts',
      'if (keys.user_id === userId && keys.device_id === deviceId) return keys',
      'return keys',
    ],
    seenBy(
      'src/client-api/keys.test.ts',
      'uploads that are malformed, or of another device, are refused',
    ),
  ),
  one(
    'D3',
    'the owner of device keys of other servers',
    [
      'src/users/end-to-end/remote-lists.ts',
      'if (!isJsonObject(keys) || keys.user_id !== userId || keys.device_id !== deviceId)\n    return undefined',
      'if (!isJsonObject(keys)) return undefined',
    ],
    devices('what another server makes up about devices is left out'),
  ),
  {
    attack: 'D4',
    guard: 'the form of what is stripped already, when it comes and when it is shown',
    edits: [
      out(
        strippedState,
        'if (!isText(type, typeBytesMax) || !isText(state_key, stateKeyBytesMax)) return undefined\n  if (sender === undefined || !isJsonObject(content)) return undefined',
      ),
      out(
        'src/sync/client-event.ts',
        'return isSound ? [{ type, state_key, sender, content }] : []',
        'return [{ type, state_key, sender, content } as JsonObject]',
      ),
    ],
    witness: hostilePeer('junk for the state of an invite keeps nobody from syncing'),
  },
  one(
    'D5',
    'the rule that what was refused has no place in a timeline',
    [
      'src/rooms/turn.ts',
      "place: status === 'accepted' && !isWithheld ? placeFor(judging) : 'nowhere'",
      'place: placeFor(judging)',
    ],
    seenBy(
      'src/rooms/receive.test.ts',
      "version ${id}: a banned user's topic is soft-failed, until an event refers to it",
    ),
  ),
  one(
    'D6',
    'the hold on a room whose queue works',
    [
      'src/rooms/queues.ts',
      'return this.#queues.get(roomId)?.room ?? this.#rooms.get(roomId)',
      'return this.#rooms.get(roomId)',
    ],
    seenBy('src/rooms/queues.test.ts', 'a room is not forgotten while its queue works'),
  ),
  one(
    'D6',
    'the line of those who make a room',
    [
      'src/rooms/queues.ts',
      'const before = this.#making.get(roomId) ?? Promise.resolve()',
      'const before = Promise.resolve()',
    ],
    seenBy(
      'src/rooms/queues.test.ts',
      'a room is made once, and by the second attempt if the first one fails',
    ),
  ),
]

const effortGuards: readonly Guard[] = [
  {
    ...one(
      'D7',
      'the matching of patterns without regular expressions',
      [
        'src/protocol/glob.ts',
        'let at = 0\n  let wantedAt = 0',
        "if (pattern.length > 90) return new RegExp(`^${pattern.replaceAll('*', '.*')}$`).test(text)\n  let at = 0\n  let wantedAt = 0",
      ],
      seenBy(
        'src/protocol/server-acl.test.ts',
        'a pattern of many stars takes no more steps than the product of the lengths',
      ),
    ),
    error: timeUp,
  },
  {
    ...one(
      'D7',
      'the linear matching of filters',
      [
        'src/sync/filter.ts',
        "const first = pieces[0] ?? ''",
        "if (pieces.length > 100) return new RegExp(`^${pieces.join('.*')}$`).test(text)\n  const first = pieces[0] ?? ''",
      ],
      seenBy('src/sync/filter.test.ts', 'a pattern of many wildcards takes linear time'),
    ),
    error: timeUp,
  },
  one(
    'D8',
    'the limit of nesting, in the reader',
    [
      jsonReader,
      "return levels === 0 ? this.#fail('nested too deeply') : this.#readArray(levels)",
      'return this.#readArray(levels)',
    ],
    seenBy('src/protocol/json-reader.test.ts', 'nesting has a limit of 64 levels'),
  ),
  one(
    'D8',
    'the limit of nesting, in the writer',
    [
      'src/protocol/canonical-json.ts',
      'function encodeArray(array: readonly Json[], levels: number): string | undefined {\n  if (levels === 0) return undefined\n',
      'function encodeArray(array: readonly Json[], levels: number): string | undefined {\n',
    ],
    seenBy(
      'src/protocol/canonical-json.test.ts',
      'nesting has a limit of 64 levels, in arrays and objects',
    ),
  ),
  one(
    'D9',
    'the room that media of other servers have',
    [remoteMedia, 'if (bytes <= keptBytesMax) return\n', 'return\n'],
    media('media of other servers goes when there is too much, what was used longest ago first'),
  ),
  one(
    'D9',
    'the look at the disk before media are fetched',
    [remoteMedia, 'if (!needs.mayKeep()) throw noRoom()'],
    seenBy(
      'test/pressure.test.ts',
      'with little room on the disk no media of other servers are fetched, and those kept are given',
    ),
  ),
  one(
    'D9',
    'the budget of what is fetched',
    [
      remoteMedia,
      'await budget.charge({ serverName, askedBy }, bytesMax, () =>\n    source.download(name, { waitMs, bytesMax }),\n  )',
      'await source.download(name, { waitMs, bytesMax })',
    ],
    media(
      'of one server, and for one user, so much is fetched, and what is kept is given all the same',
    ),
  ),
  one(
    'D9',
    'how many media of one server are fetched at a time',
    [remoteMedia, 'const fetchesOfServerMax = 3', 'const fetchesOfServerMax = 1000'],
    media('a server whose media never come leaves room for those of others'),
  ),
  one(
    'D10',
    'the switch that is off by default',
    [urlPreviews, 'if (!needs.isEnabled) {', 'if (false) {'],
    links('what is no link of the web is refused, and nothing is asked'),
  ),
  one(
    'D10',
    'the ports of the web',
    [urlPreviews, ' || !ports.has(url.port)'],
    links('what is no link of the web is refused, and nothing is asked'),
  ),
  one(
    'D10',
    'the number of redirects of a link',
    [urlPreviews, 'const redirectsMax = 5', 'const redirectsMax = 50'],
    links('redirects are followed, a few of them, and to the web alone'),
  ),
  one(
    'D10',
    'the size of a page',
    [urlPreviews, 'const pageBytesMax = 4 * 1024 * 1024', 'const pageBytesMax = 400 * 1024 * 1024'],
    links('what cannot be fetched says nothing of our network, and a lost picture leaves the rest'),
  ),
  one(
    'D10',
    'the number of properties of a page',
    ['src/media/open-graph.ts', ' && to.size < propertiesMax'],
    links('a page that is made to take long does not'),
  ),
]

const imageGuards: readonly Guard[] = [
  one(
    'D11',
    'the kinds of images that are decoded',
    ['src/io/thumbnailer-process.ts', "sharp.block({ operation: ['VipsForeignLoad'] })"],
    seenBy('src/io/thumbnailer.test.ts', 'a bomb does no harm: ${what}'),
  ),
  one(
    'D11',
    'the number of pixels',
    [
      'src/io/thumbnailer-process.ts',
      'const pixelsMax = 32_000_000',
      'const pixelsMax = 320_000_000',
    ],
    seenBy('src/io/thumbnailer.test.ts', 'a bomb does no harm: ${what}'),
  ),
]

const growthGuards: readonly Guard[] = [
  one(
    'D12',
    'the length of a text in a schema',
    [
      'src/schema/schema.ts',
      'return Type.String(min > 0 ? { minLength: min, maxLength: max } : { maxLength: max })',
      'return Type.String(min > 0 ? { minLength: min } : {})',
    ],
    seenBy('test/contract/limits.test.ts', 'every text, list and number of a request has a limit'),
  ),
  one(
    'D12',
    'the threads in which receipts are kept',
    [
      'src/users/receipts.ts',
      'for (const readers of inThreads(receipts)) trimThreadReceipts(tx, readers, threadsMax)',
    ],
    seenBy(
      'test/edu-matrix.test.ts',
      'of receipts in ever new threads, and of presence of ever new users, some are kept',
    ),
  ),
  one(
    'D12',
    'the messages that wait for a device',
    ['src/users/to-device.ts', 'if (full.length === 0) return\n', 'return\n'],
    seenBy(
      'src/users/to-device.test.ts',
      'too much for a device that does not ask drops the oldest',
    ),
  ),
  {
    attack: 'D13',
    guard:
      'the memory of what was met in a tree of rooms, when it is seen and when it is put in line',
    edits: [
      out('src/directory/hierarchy.ts', 'if (visited.has(visit.roomId)) continue'),
      out(
        'src/directory/hierarchy.ts',
        'room.children_state.filter((child) => !walk.visited.has(child.state_key))',
        'room.children_state',
      ),
    ],
    witness: seenBy(
      'src/client-api/space-hierarchy.test.ts',
      'a tree is walked depth first, in the order of the children, each room once',
    ),
  },
  one(
    'D14',
    'the key __proto__ as a member',
    [jsonReader, "if (key !== '__proto__') object[key] = value", 'if (true) object[key] = value'],
    seenBy(
      'src/protocol/json-reader.test.ts',
      'a key __proto__ is a member and changes nothing else',
    ),
  ),
  one(
    'D14',
    'the look at own members only, of signatures',
    [
      'src/protocol/signatures.ts',
      'return Object.hasOwn(object, key) ? object[key] : undefined',
      'return object[key]',
    ],
    seenBy('src/protocol/signatures.test.ts', 'names that every object inherits are no signatures'),
  ),
  one(
    'D14',
    'the look at own members only, of power levels',
    [
      'src/protocol/auth-rules/room-levels.ts',
      'const value: Json | undefined = Object.hasOwn(entries, key) ? entries[key] : undefined',
      'const value: Json | undefined = entries[key]',
    ],
    ruleCases('check.test.ts', 'required power level'),
  ),
  one(
    'D15',
    'the shedding of what is least urgent',
    ['src/pressure/pressure.ts', 'classes.indexOf(classOf(endpoint)) < this.#shed', 'false'],
    seenBy(
      'src/pressure/pressure.test.ts',
      'while the thread lags, one class after the other is shed, and never our own users',
    ),
  ),
  one(
    'D15',
    'the rule that who floods displaces their own',
    [
      'src/rooms/staged-limit.ts',
      'const [most] = [...byServer.values()].toSorted((a, b) => b.length - a.length)',
      'const [most] = [...byServer.values()].toSorted((a, b) => a.length - b.length).filter((all) => all.length > 0)',
    ],
    seenBy(
      'src/rooms/staged-work.test.ts',
      'a server that floods a room with what leads nowhere displaces its own events, and no others',
    ),
  ),
]

const floodGuards: readonly Guard[] = [
  {
    ...one(
      'D15',
      'the line of one server’s transactions',
      [
        'src/federation/receive-transactions.ts',
        'if (line.count === perOriginMax) {',
        'if (false) {',
      ],
      seenBy(
        'test/transactions.test.ts',
        'of one server one transaction is worked on and one waits; a third has to come again',
      ),
    ),
    error: 'no answer within',
  },
  one(
    'D15',
    'the share of the thread that one server may use',
    [
      'src/rooms/fair-share.ts',
      'return Math.max(0, bucket.fullAtMs - clock.monotonicMs() - burstMs / rate)',
      'return 0',
    ],
    seenBy(
      'src/rooms/fair-share.test.ts',
      'who has used much waits while another wants the thread, and no longer',
    ),
  ),
]

export const guardsOfAvailability: readonly Guard[] = [
  ...poisonGuards,
  ...effortGuards,
  ...imageGuards,
  ...growthGuards,
  ...floodGuards,
]
