/**
 * Guards against what poisons a server, or keeps it busy (D1 to D10).
 *
 * @module
 */

import { type Guard, one, out, seenBy, timeUp } from './guard.ts'

const strippedState = 'src/rooms/stripped-state.ts'

const jsonReader = 'src/protocol/json-reader.ts'

const remoteMedia = 'src/media/remote-media.ts'

const urlPreviews = 'src/media/url-previews.ts'

const hostileInvite = (title: string) => seenBy('test/hostile-invites.test.ts', title)

const sender = (title: string) => seenBy('src/federation/sender/quarantine.test.ts', title)

const devices = (title: string) => seenBy('test/devices-across-servers.test.ts', title)

const media = (title: string) => seenBy('test/remote-media.test.ts', title)

const links = (title: string) => seenBy('src/media/url-previews.test.ts', title)

const poisonGuards: readonly Guard[] = [
  one(
    'D1',
    'how much of the state of an invite or knock is kept',
    [strippedState, 'if (bytes + size > keptBytesMax) return false'],
    hostileInvite('of the state that comes with invites and knocks, a little is kept'),
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
  {
    attack: 'D2',
    guard: 'the limit of what is kept of what one server refuses',
    edits: [
      out(
        'src/federation/sender/leave-line.ts',
        'return trimQuarantinedEvents(tx, server, keptMax.events)',
        'return Promise.resolve([])',
      ),
      out(
        'src/federation/sender/leave-line.ts',
        'return trimQuarantinedDevices(tx, server, keptMax.devices)',
        'return Promise.resolve([])',
      ),
    ],
    witness: sender(
      'a server that refuses ever more has the newest put aside, and what is given up is in the log',
    ),
  },
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
    witness: hostileInvite('junk for the state of an invite keeps nobody from syncing'),
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

export const guardsOfAvailability: readonly Guard[] = [...poisonGuards, ...effortGuards]
