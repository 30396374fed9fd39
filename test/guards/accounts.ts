/**
 * Guards of accounts and clients (section E).
 *
 * @module
 */

import { type Guard, one, out, seenBy } from './guard.ts'

const sessions = 'src/users/sessions.ts'
const interactiveAuth = 'src/users/interactive-auth.ts'
const keySignatures = 'src/users/end-to-end/key-signatures.ts'
const canonicalAlias = 'src/client-api/canonical-alias.ts'
const incomingInvite = 'src/rooms/resident/incoming-invite.ts'

const login = (title: string, cases?: string) =>
  seenBy('src/client-api/login.test.ts', title, cases)
const registration = (title: string, cases?: string) =>
  seenBy('src/client-api/registration.test.ts', title, cases)
const account = (title: string) => seenBy('src/client-api/account.test.ts', title)
const aliases = seenBy(
  'src/client-api/rooms.test.ts',
  'aliases lead to rooms, and only true ones become canonical',
)
const proxies = seenBy(
  'src/io/proxies.test.ts',
  "${peer} that says '${forwarded}' is ${client}, of proxies in ${networks}",
)
const inviteState = (cases: string) =>
  seenBy(
    'test/invite-requests.test.ts',
    "an invite with ${what} for the room's state is answered ${answer}",
    cases,
  )

const accountGuards: readonly Guard[] = [
  one(
    'E1',
    'the rule that a stage is of one operation',
    [interactiveAuth, ' && session.operation === operation'],
    account('the proof for one operation is none for another'),
  ),
  one(
    'E1',
    'the end of a session of proofs',
    [interactiveAuth, 'clock.monotonicMs() - session.startedMs > sessionMsMax', 'false'],
    registration('a stage of one session does not complete another, nor a session that is too old'),
  ),
  one(
    'E1',
    'the password',
    [
      'src/client-api/login.ts',
      'if (isRight && userId !== undefined) return userId',
      'if (userId !== undefined) return userId',
    ],
    login('${JSON.stringify(body).slice(0, 90)} -> ${status} ${errcode}', 'password'),
  ),
  one(
    'E1',
    'the refusal of who is locked out',
    ['src/client-api/login.ts', 'await users.accounts.requireUnlocked(userId)'],
    seenBy(
      'src/client-api/account-standing.test.ts',
      'who is locked out is told so softly, and has their session back afterwards',
    ),
  ),
  one(
    'E1',
    'the end of a token that can be refreshed',
    [sessions, 'if (expiresTs !== null && expiresTs <= clock.now()) throw unknownToken(true)'],
    login('a token expires where it can be refreshed, and the client is told to'),
  ),
  one(
    'E1',
    'the end of an old refresh token',
    [
      sessions,
      'if (row.replaces !== null) endReplaced(tx, row)\n  endReplacements(tx, hash)',
      'endReplacements(tx, hash)',
    ],
    login('using the new refresh token ends the old one too'),
  ),
  one(
    'E1',
    'the rule that a login token is good once',
    ['src/users/login-tokens.ts', 'tokens.delete(hashOf(token))'],
    login('a login token is good once, for two minutes, and only after the password'),
  ),
  one(
    'E1',
    'the password that other cross-signing keys need',
    [
      'src/users/end-to-end/cross-signing.ts',
      "if (keyOf(before, 'master') !== undefined) await prove()",
    ],
    seenBy(
      'src/client-api/cross-signing.test.ts',
      'what is there already is replaced by who knows the password only',
    ),
  ),
  one(
    'E2',
    'the rule of who may take an alias away',
    ['src/client-api/directory.ts', 'if (made.creator !== userId && !mayEdit) {', 'if (false) {'],
    aliases,
  ),
  one(
    'E2',
    'the rule that who makes an alias is in the room',
    ['src/client-api/directory.ts', 'await requireJoined(needs.rooms, userId, body.room_id)'],
    aliases,
  ),
  one(
    'E3',
    'the types that a browser may show in a page',
    [
      'src/http/content-disposition.ts',
      "const disposition = inlineTypes.has(essence) ? 'inline' : 'attachment'",
      "const disposition = 'inline'",
    ],
    seenBy('test/media.test.ts', 'types and names of files are shown so that they do no harm'),
  ),
  one(
    'E3',
    'the policy that media are served with',
    ['src/client-api/media-answer.ts', '...policies,'],
    seenBy('test/media.test.ts', 'a file is given back byte for byte, with its type and name'),
  ),
  one(
    'E4',
    'the look at what a key’s signature is of',
    [
      keySignatures,
      "if (message === undefined || message !== signedText(key)) {\n    throw new MatrixError(400, 'M_INVALID_PARAM', 'This is not the key that is known by this ID.')\n  }",
      'if (message === undefined) return []',
    ],
    seenBy(
      'src/client-api/cross-signing.test.ts',
      'forged signatures, and those of keys that there are not, are failures, and the rest is kept',
    ),
  ),
  one(
    'E4',
    'the check of signatures of keys',
    [keySignatures, 'if (problem !== undefined) {', 'if (false) {'],
    seenBy(
      'src/client-api/cross-signing.test.ts',
      'forged signatures, and those of keys that there are not, are failures, and the rest is kept',
    ),
  ),
  one(
    'E4',
    'the signature of the master key',
    [
      'src/users/end-to-end/cross-signing.ts',
      "for (const key of given) if (key.usage !== 'master') checkSignedBy(master, key)",
    ],
    seenBy(
      'src/client-api/cross-signing.test.ts',
      'keys that are none are refused, and nothing of them is kept',
    ),
  ),
  one(
    'E4',
    'the rule that one ID never means two one-time keys',
    [
      'src/users/end-to-end/device-keys.ts',
      'if (before === undefined) return true\n    if (before === key.key_json) return false',
      'if (before === undefined || before !== key.key_json) return true\n    if (before === key.key_json) return false',
    ],
    seenBy('src/client-api/keys.test.ts', 'the ID of a one-time key is not used twice'),
  ),
]

const clientGuards: readonly Guard[] = [
  one(
    'E5',
    'the hash of a password that is not there',
    ['src/users/passwords.ts', 'await fresh(password)\n        return false', 'return false'],
    seenBy('src/users/passwords.test.ts', 'who does not exist costs as much as who does'),
  ),
  one(
    'E5',
    'the hashing of tokens in the store',
    ['src/users/tokens.ts', "return hash('sha256', token)", 'return token'],
    registration('no password and no token is anywhere in the database'),
  ),
  one(
    'E5',
    'the check of the HMAC of a shared secret',
    [
      'src/users/shared-secret.ts',
      'if (found.length !== expected.length || !timingSafeEqual(found, expected)) {',
      'if (found.length !== expected.length) {',
    ],
    seenBy(
      'src/admin-api/register.test.ts',
      'what is asked for cannot be changed without the secret',
    ),
  ),
  one(
    'E6',
    'the check that a canonical alias points to its room',
    [canonicalAlias, 'if ((await targetOf({ aliases }, alias)) === roomId) continue', 'continue'],
    seenBy(
      'src/client-api/rooms.test.ts',
      'an alias becomes canonical where it leads now, and nowhere else',
    ),
  ),
  one(
    'E7',
    'the signatures of the state that comes with an invite',
    [
      incomingInvite,
      'if (version.roomIdIsCreateEventId) throw badEntry()\n      continue',
      'continue',
    ],
    inviteState('.'),
  ),
  one(
    'E7',
    'the demand for the create event of the room that one is invited to',
    [incomingInvite, 'if (version.roomIdIsCreateEventId && !hasCreate) {', 'if (false) {'],
    inviteState('.'),
  ),
  one(
    'E7',
    'the room of what comes with an invite',
    [
      'src/rooms/stripped-state.ts',
      'return pdu.room_id === roomId && pdu.state_key !== undefined ? strip(pdu) : undefined',
      'return pdu.state_key !== undefined ? strip(pdu) : undefined',
    ],
    seenBy(
      'test/hostile-invites.test.ts',
      'the state of another room is none of the room that one is invited to',
    ),
  ),
  one(
    'E8',
    'the rule that only proxies that are known speak for others',
    [
      'src/io/proxies.ts',
      'if (!this.has(client) || isIP(before) === 0) return client',
      'if (isIP(before) === 0) return client',
    ],
    proxies,
  ),
  one(
    'E8',
    'the form of the address that a proxy speaks for',
    [
      'src/io/proxies.ts',
      'if (!this.has(client) || isIP(before) === 0) return client',
      'if (!this.has(client)) return client',
    ],
    proxies,
  ),
  {
    attack: 'E9',
    guard: 'the text of what clients encrypt for each other, with its numbers',
    edits: [
      out(
        'src/users/direct-to-device.ts',
        "const read = readJson(Buffer.from(content), 'raw')",
        "const read = readJson(Buffer.from(content), 'any')",
      ),
    ],
    witness: seenBy(
      'test/devices-across-servers.test.ts',
      'what clients write crosses servers number by number, field by field',
    ),
  },
]

export const guardsOfAccounts: readonly Guard[] = [...accountGuards, ...clientGuards]
