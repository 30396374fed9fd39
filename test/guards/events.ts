/**
 * Guards of single events: signatures, what we sign ourselves, formats, JSON (A1 to A5).
 *
 * @module
 */

import { type Guard, ingress, out, seenBy } from './guard.ts'

const requiredSignatures = 'src/protocol/required-signatures.ts'
const incomingInvite = 'src/rooms/resident/incoming-invite.ts'
const membershipEvent = 'src/rooms/resident/membership-event.ts'
const membershipTemplate = 'src/rooms/membership-template.ts'
const eventFormat = 'src/protocol/event-format.ts'
const jsonReader = 'src/protocol/json-reader.ts'

const readJson = (expected: string) =>
  seenBy('src/protocol/json-reader.test.ts', '${name}: ${v6}', `: ${expected}$`)
const unseenTemplate = seenBy(
  'test/hostile-answers.test.ts',
  'a template of ${what} for a knock is refused, unsigned',
)

const signatureGuards: readonly Guard[] = [
  ...['send', 'send_knock', 'invite', 'answer to send_join', 'backfill', 'get_missing_events']
    .concat(['event', 'state', 'event_auth'])
    .map(
      (route): Guard => ({
        attack: 'A1',
        guard: `the signature of the sender’s server, by ${route}`,
        edits: [
          out(
            requiredSignatures,
            'if (!isThirdPartyInvite(pdu)) required.add(serverNameOf(pdu.sender))',
          ),
        ],
        witness: ingress(route),
      }),
    ),
  {
    attack: 'A1',
    guard: 'the signature of the event ID’s server',
    edits: [
      out(
        requiredSignatures,
        "if (pdu.version.eventId === 'in-event') required.add(serverNameOfEventId(pdu.event_id))",
      ),
    ],
    witness: ingress('send', '1'),
  },
  {
    attack: 'A1',
    guard: 'the signature of who authorises a join',
    edits: [out(requiredSignatures, 'required.add(serverNameOf(userId))')],
    witness: seenBy(
      'src/protocol/required-signatures.test.ts',
      'signed enough: ${name} in versions ${expected}',
      'signed enough: a restricted join',
    ),
  },
  {
    attack: 'A1',
    guard: 'a look at what the signature is of',
    edits: [out('src/protocol/signatures.ts', '!verifyEd25519(key, message, signature)', 'false')],
    witness: ingress('send'),
  },
  {
    attack: 'A1',
    guard: 'the signature under what is kept of a third-party invite',
    edits: [out('src/protocol/check-pdu.ts', 'required.union(requiredOfKept)', 'required')],
    witness: seenBy(
      'src/protocol/required-signatures.test.ts',
      'a third-party invite with a wrong content hash does not pass as a plain invite',
    ),
  },
]

const oracleGuards: readonly Guard[] = [
  {
    attack: 'A2',
    guard: 'a type of our own in what a template leads to, and its check',
    edits: [
      out(membershipTemplate, "if (event.type !== 'm.room.member') return 'bad type'"),
      out(
        membershipTemplate,
        "type: 'm.room.member',\n      state_key: wanted.userId,",
        'type: String(event.type),\n      state_key: wanted.userId,',
      ),
    ],
    witness: seenBy(
      'test/hostile-resident.test.ts',
      'version ${id}: ${what}',
      'a template of power levels',
    ),
  },
  {
    attack: 'A2',
    guard: 'the check of a template’s membership',
    edits: [
      out(
        membershipTemplate,
        "if (!isJsonObject(content) || content.membership !== wanted.membership) return 'bad membership'",
      ),
    ],
    witness: unseenTemplate,
  },
  {
    attack: 'A2',
    guard: 'a content of our own in what a template leads to',
    edits: [
      out(
        membershipTemplate,
        '...content,\n        membership: wanted.membership,',
        '...(event.content as JsonObject),\n        membership: wanted.membership,',
      ),
    ],
    witness: seenBy(
      'src/rooms/membership-template.test.ts',
      `version \${version}: of an honest template only the place in the graph is taken`,
    ),
  },
  {
    attack: 'A2',
    guard: 'the check that what we sign as an invite is a membership',
    edits: [
      out(
        incomingInvite,
        "if (pdu.type !== 'm.room.member') throw invalid('The event is no membership')",
      ),
    ],
    witness: ingress('handshakes of parts that do not match'),
  },
  {
    attack: 'A2',
    guard: 'the check that what we sign as an invite is one',
    edits: [
      out(
        incomingInvite,
        "if (pdu.content.membership !== 'invite') throw invalid('The event is no invite')",
      ),
    ],
    witness: ingress('handshakes of parts that do not match'),
  },
  {
    attack: 'A2',
    guard: 'the check that an invite is from who brings it',
    edits: [
      out(
        incomingInvite,
        "if (serverNameOf(pdu.sender) !== origin) throw invalid('The sender is no user of your server')",
      ),
    ],
    witness: ingress('handshakes of parts that do not match'),
  },
]

const mismatchGuards: readonly Guard[] = [
  ...[
    [
      'the membership of a join, leave or knock',
      'if (pdu.content.membership !== membership) throw invalid(`The event is no ${membership}`)',
    ],
    [
      'the server of who joins, leaves or knocks',
      "if (serverNameOf(pdu.sender) !== origin) throw invalid('The sender is no user of your server')",
    ],
    [
      'the user whose membership it is',
      "if (pdu.state_key !== pdu.sender) throw invalid('The event is about somebody else')",
    ],
    [
      'the type of a join, leave or knock',
      "if (pdu.type !== 'm.room.member') throw invalid('The event is no membership')",
    ],
  ].map(
    ([what, text = '']): Guard => ({
      attack: 'A3',
      guard: `the check of ${what}`,
      edits: [out(membershipEvent, text)],
      witness: ingress('handshakes of parts that do not match'),
    }),
  ),
  {
    attack: 'A3',
    guard: 'the check of the room of a join, leave or knock',
    edits: [
      out(
        membershipEvent,
        "if (pdu.room_id !== roomId) throw invalid('The event is of another room')",
      ),
    ],
    witness: seenBy(
      'test/join-requests.test.ts',
      'a join with ${what} is answered ${answer}',
      'a join with another room in the event',
    ),
  },
  {
    attack: 'A3',
    guard: 'the check of the event ID of a join, leave or knock, and the same behind the door',
    edits: [
      out(
        membershipEvent,
        "if (pdu.event_id !== eventId) throw invalid('The event has another ID')",
      ),
      out(
        membershipEvent,
        "if (checked.pdu.event_id !== eventId) throw invalid('The event has another ID')",
      ),
    ],
    witness: ingress('handshakes of parts that do not match'),
  },
  {
    attack: 'A3',
    guard: 'the check of an invite’s room',
    edits: [
      out(
        incomingInvite,
        "if (pdu.room_id !== roomId) throw invalid('The event is of another room')",
      ),
    ],
    witness: ingress('handshakes of parts that do not match'),
  },
  {
    attack: 'A3',
    guard: 'the check of an invite’s event ID',
    edits: [
      out(
        incomingInvite,
        "if (pdu.event_id !== eventId) throw invalid('The event has another ID')",
      ),
    ],
    witness: ingress('handshakes of parts that do not match'),
  },
  {
    attack: 'A3',
    guard: 'the check that the invited user is one of ours',
    edits: [
      out(
        incomingInvite,
        'if (userId === undefined || serverNameOf(userId) !== serverName) {',
        'if (userId === undefined) {',
      ),
    ],
    witness: ingress('handshakes of parts that do not match'),
  },
]

const poisonGuards: readonly Guard[] = [
  {
    attack: 'A4',
    guard: 'the check that a depth is not below zero',
    edits: [
      out(
        eventFormat,
        'if (depth === undefined || depth < 0) return undefined',
        'if (depth === undefined) return undefined',
      ),
    ],
    witness: ingress('send'),
  },
  {
    attack: 'A4',
    guard: 'the limit of a depth before version 6',
    edits: [out(eventFormat, 'BigInt(text) <= depthMaxBeforeV6', 'true')],
    witness: ingress('send', '1'),
  },
  {
    attack: 'A4',
    guard: 'the refusal of NUL in types and state keys',
    edits: [out(eventFormat, "return value.includes('\\0') ? undefined : value", 'return value')],
    witness: ingress('send'),
  },
  {
    attack: 'A4',
    guard: 'the strict numbers since version 6',
    edits: [
      out(
        'src/protocol/parse-pdu.ts',
        "return version.strictCanonicalJson ? 'canonical' : 'raw'",
        "return 'raw'",
      ),
    ],
    witness: ingress('send'),
  },
  {
    attack: 'A4',
    guard: 'the signatures of others made clean',
    edits: [
      out(
        'src/protocol/parse-pdu.ts',
        "(ofServer) =>\n      isJsonObject(ofServer) && Object.values(ofServer).every((text) => typeof text === 'string'),",
        '() => true,',
      ),
    ],
    witness: seenBy(
      'src/protocol/check-pdu.test.ts',
      'signatures that are none are left out, and change nothing',
    ),
  },
]

const jsonGuards: readonly Guard[] = [
  {
    attack: 'A5',
    guard: 'the refusal of a key that comes twice',
    edits: [
      out(
        jsonReader,
        'if (Object.hasOwn(object, key)) return this.#fail(`the key ${JSON.stringify(key)} is double`)',
      ),
    ],
    witness: ingress('send'),
  },
  {
    attack: 'A5',
    guard: 'the refusal of bytes that are no UTF-8',
    edits: [
      out(jsonReader, 'return Buffer.from(text).equals(buffer) ? text : undefined', 'return text'),
    ],
    witness: readJson('the text is not UTF-8'),
  },
  {
    attack: 'A5',
    guard: 'the refusal of half a surrogate pair, by the reader',
    edits: [
      out(jsonReader, "if (!string.isWellFormed()) return this.#fail('half a surrogate pair')"),
    ],
    witness: readJson('half a surrogate pair'),
  },
  {
    attack: 'A5',
    guard: 'the refusal of half a surrogate pair, by the reader and by the writer',
    edits: [
      out(jsonReader, "if (!string.isWellFormed()) return this.#fail('half a surrogate pair')"),
      out(
        'src/protocol/canonical-json.ts',
        'return text.isWellFormed() ? JSON.stringify(text) : undefined',
        'return JSON.stringify(text)',
      ),
    ],
    witness: ingress('send'),
  },
  {
    attack: 'A5',
    guard: 'the order of keys by code point',
    edits: [
      out(
        'src/protocol/canonical-json.ts',
        'return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit',
        'return unit',
      ),
    ],
    witness: ingress('send'),
  },
]

export const guardsOfEvents: readonly Guard[] = [
  ...signatureGuards,
  ...oracleGuards,
  ...mismatchGuards,
  ...poisonGuards,
  ...jsonGuards,
]
