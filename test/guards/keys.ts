/**
 * Guards of keys, transport and names (section B).
 *
 * @module
 */

import { type Guard, ingress, one, out, seenBy } from './guard.ts'

const serverKeysAnswer = 'src/federation/server-keys-answer.ts'
const serverKeys = 'src/federation/server-keys.ts'
const authenticate = 'src/federation/authenticate-request.ts'
const remoteMembers = 'src/users/remote-members.ts'
const access = 'src/rooms/resident/access.ts'
const serverName = 'src/protocol/identifiers/server-name.ts'
const connector = 'src/io/tls-connector.ts'
const httpServer = 'src/io/http-server.ts'
const wellKnown = 'src/federation/well-known.ts'

const aRequest = (cases: string) =>
  seenBy('src/federation/authenticate-request.test.ts', 'a request: ${name}', `: ${cases}$`)
const keyFile = (cases: string) =>
  seenBy('src/federation/signing-key.test.ts', 'a key file: ${name}', `: ${cases}$`)
const keyring = (title: string, cases?: string) =>
  seenBy('src/federation/server-keys.test.ts', title, cases)
const validity = (title: string, cases?: string) =>
  seenBy('src/federation/key-validity.test.ts', title, cases)
const header = (cases: string) =>
  seenBy('src/federation/x-matrix.test.ts', 'X-Matrix: ${name}', `: ${cases}$`)
const edus = (title: string) => seenBy('test/edu-matrix.test.ts', title)
const client = (title: string) => seenBy('src/io/http-client.test.ts', title)
const server = (title: string, cases?: string) => seenBy('src/io/http-server.test.ts', title, cases)
const discovery = (cases: string) =>
  seenBy('src/federation/discovery.test.ts', 'discovery: ${name}', `: ${cases}$`)
const aclCase = (cases: string) =>
  seenBy(
    'src/protocol/server-acl.test.ts',
    "${name}: ${server} is ${allowed ? 'allowed' : 'denied'}",
    cases,
  )

const keyGuards: readonly Guard[] = [
  one(
    'B1',
    'the end of a key, for events since version 5',
    [
      'src/protocol/check-pdu.ts',
      'key.validUntilTs >= pdu.origin_server_ts',
      'key.validUntilTs >= 0',
    ],
    ingress('send'),
  ),
  one(
    'B1',
    'the end of a key, for requests',
    [authenticate, 'found !== undefined && found.validUntilTs >= now', 'found !== undefined'],
    aRequest('a key that has expired'),
  ),
  one(
    'B1',
    'the seven days that a key is good at most',
    [serverKeysAnswer, 'Math.min(Number(until), now + validityMsMax)', 'Number(until)'],
    validity('a key that claims to be good until the year 9999 is good for seven days'),
  ),
  one(
    'B2',
    'the look at who can read the key file',
    ['src/federation/signing-key.ts', 'if ((mode & 0o077) !== 0) {', 'if (false) {'],
    keyFile('readable by all'),
  ),
  one(
    'B2',
    'the mode of a new key file',
    ['src/federation/signing-key.ts', '{ mode: 0o600 }', '{ mode: 0o644 }'],
    seenBy(
      'src/federation/signing-key.test.ts',
      'a key is made at the first start, readable by its owner alone, and then kept',
    ),
  ),
  one(
    'B2',
    'the refusal of published keys as our own',
    ['src/federation/signing-key.ts', 'if (isPublishedKey(key.publicKey)) {', 'if (false) {'],
    keyFile("the spec's example"),
  ),
  one(
    'B2',
    'chance in a new key',
    [
      'src/federation/signing-key.ts',
      'encodeBase64(random.bytes(32))',
      'encodeBase64(new Uint8Array(32).fill(1))',
    ],
    seenBy('src/federation/signing-key.test.ts', 'no two servers make the same key'),
  ),
  one(
    'B2',
    'the disbelief in stolen keys',
    ['src/federation/published-keys.ts', ' || stolen.has(text)'],
    validity('a stolen key proves nothing: neither events, nor requests, nor the next key'),
  ),
  one(
    'B3',
    'the signature of the server under what is said of its keys',
    [serverKeysAnswer, 'if (problem !== undefined) return refuse(problem)'],
    keyring('a notary that ${name} is not believed', 'drops the signature|changes the end'),
  ),
  one(
    'B3',
    'the name of the server in what is said of its keys',
    [
      serverKeysAnswer,
      'if (answer.server_name !== server) return refuse(`it is not about ${server}`)',
    ],
    keyring('an answer that ${name} is not believed', 'is about another server'),
  ),
  one(
    'B3',
    'the signature of the notary',
    [
      serverKeysAnswer,
      'return signatureProblem(answer, notary, keys) === undefined',
      'return true',
    ],
    keyring('a notary that ${name} is not believed', 'does not sign'),
  ),
  one(
    'B3',
    'the rule that a known key stays',
    [serverKeys, 'if (!isSame(known.key, key)) {', 'if (false) {'],
    keyring('a key with the ID of a known one is an alarm, and the known one stays'),
  ),
  one(
    'B3',
    'the rule that a notary takes back no validity',
    [serverKeys, 'validUntilTs: Math.max(known.validUntilTs, validUntilTs)', 'validUntilTs'],
    validity('a notary takes back nothing that is known: neither a key nor how long it is good'),
  ),
  {
    attack: 'B3',
    guard: 'the quorum of notaries, and that of each key',
    edits: [
      out('src/federation/notaries.ts', 'if (notaries.size < needs.quorum) return false'),
      out(
        'src/federation/notaries.ts',
        'const isEnough = new Set(those.map(({ notary }) => notary)).size >= needs.quorum',
        'const isEnough = those.length > 0',
      ),
    ],
    witness: validity(
      "notaries, ${what}: the key is ${expected ? '' : 'not '}believed",
      '^notaries, .*the key is not believed$',
    ),
  },
]

const requestGuards: readonly Guard[] = [
  one(
    'B4',
    'the refusal of a parameter that comes twice',
    ['src/federation/x-matrix.ts', 'parameters.has(name) || ', ''],
    header('dup origin \\(last/first\\)'),
  ),
  one(
    'B4',
    'the refusal of several origins',
    [
      authenticate,
      "if (origins.size !== 1) throw unauthorized('The Authorization headers name several origins.')",
    ],
    aRequest('two origins'),
  ),
  one(
    'B4',
    'the check of the destination, in the header and in what is signed',
    [
      authenticate,
      'if (destination !== undefined && destination !== needs.serverName) {',
      'if (false) {',
    ],
    aRequest('for another server'),
  ),
  one(
    'B4',
    'the request target in what is signed',
    [
      authenticate,
      'signedBytes({ method, target, origin, destination, content })',
      'signedBytes({ method, target: decodeURIComponent(target), origin, destination, content })',
    ],
    aRequest('as it should be'),
  ),
  one(
    'B4',
    'the check of the signature of a request',
    [
      authenticate,
      'if (isSigned({ needs, request, rawBody, origin, claim, key })) {',
      'if (true) {',
    ],
    aRequest('another body'),
  ),
  one(
    'B4',
    'the strict reader of a body that is not canonical',
    [
      authenticate,
      "const read = readJson(bytes, 'raw')",
      'const read = { ok: true as const, value: JSON.parse(String(Buffer.from(bytes))) }',
    ],
    aRequest('a key twice in the body'),
  ),
  one(
    'B4',
    'the rule that nobody else is us',
    [
      authenticate,
      "if (origin === needs.serverName) throw unauthorized('The origin is this server itself.')",
    ],
    aRequest('our own name'),
  ),
  one(
    'B4',
    'the check of the origin that a transaction names',
    [
      'src/federation/incoming-transaction.ts',
      'if (claimed !== undefined && claimed !== origin) {',
      'if (false) {',
    ],
    seenBy(
      'src/federation/incoming-transaction.test.ts',
      'transaction ${body.slice(0, 90)} -> ${outcome}',
    ),
  ),
]

const eduGuards: readonly Guard[] = [
  one(
    'B5',
    'the rule that a server speaks for its own users, of typing',
    [remoteMembers, 'if (serverNameOf(userId) !== origin) return false'],
    edus('typing: of a joined user of its own, in a room that does not deny it'),
  ),
  one(
    'B5',
    'the rule that who types is in the room',
    [remoteMembers, "return member?.content.membership === 'join'", 'return state !== undefined'],
    edus('typing: of a joined user of its own, in a room that does not deny it'),
  ),
  one(
    'B5',
    'the rule that we are in the room',
    [
      remoteMembers,
      'return (await rooms.localMembers(roomId)).length > 0 ? state : undefined',
      'return state',
    ],
    edus('receipts: the same'),
  ),
  {
    attack: 'B5',
    guard: 'the rule that a server speaks for its own users, of receipts, in both places',
    edits: [
      out(remoteMembers, 'if (serverNameOf(userId) !== origin) return false'),
      out(
        'src/users/receipts.ts',
        'if (user_id === undefined || serverNameOf(user_id) !== origin) continue',
        'if (user_id === undefined) continue',
      ),
    ],
    witness: edus('receipts: the same'),
  },
  one(
    'B5',
    'the rule that a server speaks for its own users, of presence',
    [
      'src/users/presence/remote-presence.ts',
      'if (userId === undefined || serverNameOf(userId) !== origin) continue',
      'if (userId === undefined) continue',
    ],
    edus('presence, devices and keys: of a user of its own who shares a room with one of ours'),
  ),
  one(
    'B5',
    'the rule that a server speaks for its own users, of devices and keys',
    [
      'src/users/end-to-end/remote-lists.ts',
      'if (userId === undefined || serverNameOf(userId) !== origin) return undefined',
      'if (userId === undefined) return undefined',
    ],
    edus('presence, devices and keys: of a user of its own who shares a room with one of ours'),
  ),
  one(
    'B5',
    'the rule that a server sends its own users’ messages to devices',
    [
      'src/users/direct-to-device.ts',
      'if (sender === undefined || serverNameOf(sender) !== origin) return undefined',
      'if (sender === undefined) return undefined',
    ],
    edus('messages to devices: from a user of its own, to users of ours who are there'),
  ),
  one(
    'B6',
    'the access list on what is asked of a room',
    [
      access,
      'await assertNotDenied(state, origin)\n  return { roomId, version, state }',
      'return { roomId, version, state }',
    ],
    seenBy(
      'test/egress-matrix.test.ts',
      'a denied server is refused by every operation that the spec protects',
    ),
  ),
  one(
    'B6',
    'the access list on an event by its ID',
    [
      'src/rooms/resident/serve-history.ts',
      'if (state === undefined || (await isDenied(state, origin))) return false',
      'if (state === undefined) return false',
    ],
    seenBy(
      'test/egress-matrix.test.ts',
      'what servers read where history is ${visibility}',
      'shared$',
    ),
  ),
  one(
    'B6',
    'the access list on invites',
    [
      'src/rooms/resident/incoming-invite.ts',
      'if (known !== undefined && isResident) await assertNotDenied(known, origin)',
    ],
    seenBy(
      'test/egress-matrix.test.ts',
      'a denied server is refused by every operation that the spec protects',
    ),
  ),
  one(
    'B6',
    'the access list on transactions',
    [
      'src/federation/receive-transactions.ts',
      'if (!(await isDenied(state, origin))) return undefined',
      'return undefined',
    ],
    seenBy(
      'test/transactions.test.ts',
      'PDUs of unknown rooms, denied servers and wrong signatures get an error each',
    ),
  ),
  one(
    'B6',
    'the access list on EDUs',
    [
      remoteMembers,
      'if (state === undefined || (await isDenied(state, origin))) return undefined',
      'if (state === undefined) return undefined',
    ],
    edus('receipts: the same'),
  ),
  one(
    'B6',
    'the lower case of server names in access lists',
    ['src/protocol/server-acl.ts', 'address.host).toLowerCase()', 'address.host)'],
    aclCase('.'),
  ),
  one(
    'B6',
    'the rule of addresses in access lists',
    [
      'src/protocol/server-acl.ts',
      "if (!acl.allowIpLiterals && address.kind !== 'dns') return false",
    ],
    aclCase('.'),
  ),
]

const nameGuards: readonly Guard[] = [
  one(
    'B7',
    'the letters that a media ID has',
    [
      'src/protocol/identifiers/mxc-uri.ts',
      'return /^[A-Za-z0-9_-]{1,255}$/.test(text)',
      'return text !== ""',
    ],
    seenBy('src/protocol/identifiers/ids.test.ts', 'mxc URIs'),
  ),
  one(
    'B7',
    'the letter or digit that a server name has',
    [serverName, 'return isNamed', 'return text.length > 0'],
    seenBy(
      'src/protocol/identifiers/server-name.test.ts',
      '${JSON.stringify(text).slice(0, 40)} is no server name',
    ),
  ),
  one(
    'B7',
    'the refusal of NUL in identifiers',
    ['src/protocol/identifiers/common-format.ts', " && !text.includes('\\0')"],
    seenBy('src/protocol/identifiers/user-id.test.ts', '${JSON.stringify(text)} is no user ID'),
  ),
  one(
    'B7',
    'the first colon of a user ID',
    [
      'src/protocol/identifiers/common-format.ts',
      "return id.slice(id.indexOf(':') + 1) as ServerName",
      "return id.slice(id.lastIndexOf(':') + 1) as ServerName",
    ],
    seenBy(
      'src/protocol/check-pdu.test.ts',
      'the server of a sender is what follows the first colon',
    ),
  ),
  one(
    'B8',
    'the look at the address that a name has when it is dialled',
    [
      connector,
      'const allowed = records.filter((address) => mayDial(address, options))',
      'const allowed = records',
    ],
    client('a name that is public first and private next gains nothing'),
  ),
  one(
    'B8',
    'the look at an address that is dialled without a name',
    [
      connector,
      'if (isIP(endpoint.hostname) !== 0 && !mayDial(endpoint.hostname, options)) {',
      'if (false) {',
    ],
    client('addresses that are not public are refused before anything is sent'),
  ),
  one(
    'B8',
    'the ranges of IPv6 that lead elsewhere',
    [
      'src/io/address-guard.ts',
      "return (prefix ?? 0) >> 13 === 1 && parsed.range() === 'unicast'",
      'return (prefix ?? 0) >> 13 === 1',
    ],
    seenBy('src/io/address-guard.test.ts', 'not of the public internet: ${name}'),
  ),
  one(
    'B8',
    'the ranges of IPv4 that are private',
    ['src/io/address-guard.ts', "return parsed.range() === 'unicast'\n", 'return true\n'],
    seenBy('src/io/address-guard.test.ts', 'not of the public internet: ${name}'),
  ),
  one(
    'B9',
    'the number of redirects',
    [wellKnown, 'visited.size <= redirectsMax && '],
    discovery('.*redirect.*'),
  ),
  one(
    'B9',
    'the refusal of redirects without TLS',
    [
      wellKnown,
      "if (url === null || url.protocol !== 'https:' || url.port === '0') return undefined",
      "if (url === null || url.port === '0') return undefined",
    ],
    discovery('.*redirect.*'),
  ),
  one(
    'B9',
    'the size of a well-known file',
    [wellKnown, 'const answerBytesMax = 50 * 1024', 'const answerBytesMax = 50 * 1024 * 1024'],
    discovery('redirect'),
  ),
  one(
    'B9',
    'the longest time that a well-known file is believed',
    [
      wellKnown,
      'return Math.min(Math.max(asked, shortestMs), longestMs)',
      'return Math.max(asked, shortestMs)',
    ],
    seenBy('src/federation/discovery.test.ts', 'well-known is kept: ${name}'),
  ),
  one(
    'B9',
    'the shortest time after which a well-known file is asked for',
    [
      wellKnown,
      'return Math.min(Math.max(asked, shortestMs), longestMs)',
      'return Math.min(asked, longestMs)',
    ],
    seenBy('src/federation/discovery.test.ts', 'well-known is kept: ${name}'),
  ),
]

const transportGuards: readonly Guard[] = [
  one(
    'B10',
    'the strict parser of requests',
    [
      httpServer,
      'const server = tlsServer ?? createServer(limits, serveOne)',
      'const server = tlsServer ?? createServer({ ...limits, insecureHTTPParser: true }, serveOne)',
    ],
    server('a body with ${name} is refused, and the connection ends'),
  ),
  one(
    'B10',
    'the number of connections from one address',
    [
      httpServer,
      'const isTooMuch = count >= connectionsPerAddressMax && !proxies.has(address)',
      'const isTooMuch = false',
    ],
    server('one address has so many connections and no more, until one of them ends'),
  ),
  one(
    'B10',
    'the size of a head',
    [httpServer, 'maxHeaderSize: 32_768', 'maxHeaderSize: 1_000_000'],
    server('what is not HTTP is answered with 400, a head that is too large with 431'),
  ),
  one(
    'B10',
    'the size of a body, by its length and by what comes',
    [httpServer, 'if (size > bytesMax) throw tooLarge()'],
    server('a body that is too large (${kind}) is refused, and the connection ends'),
  ),
  one(
    'B11',
    'the check of certificates',
    [connector, 'rejectUnauthorized: options.verifyTls', 'rejectUnauthorized: false'],
    client('certificates that are not to be trusted'),
  ),
  one(
    'B11',
    'the name that a certificate must have',
    [
      connector,
      'checkServerIdentity: (_, certificate) => checkServerIdentity(tlsName, certificate)',
      'checkServerIdentity: () => undefined',
    ],
    client('the certificate must be that of the name expected, whatever is dialled'),
  ),
  one(
    'B11',
    'the name in SNI',
    [connector, '...(isIP(tlsName) === 0 && { servername: tlsName }),'],
    client('SNI is the name expected, and none for an address'),
  ),
  one(
    'B12',
    'the refusal of encodings',
    [
      'src/io/http-client.ts',
      "if (encoding !== undefined && encoding !== 'identity') {",
      'if (false) {',
    ],
    client('redirects are not followed, and no encoding is undone'),
  ),
  one(
    'B12',
    'the size of an answer, as it comes',
    ['src/io/http-client.ts', 'if (length > bytesMax) throw tooLarge()'],
    client('an answer without a length is limited too, and one that stops is given up'),
  ),
  one(
    'B12',
    'the size of a medium',
    [
      'src/federation/remote-media.ts',
      'if (medium.body.length > limits.bytesMax) throw tooLarge()',
    ],
    seenBy('test/media.test.ts', 'a server may answer in many ways'),
  ),
  one(
    'B12',
    'the check where a medium is that is elsewhere',
    [
      'src/federation/remote-media.ts',
      'if (answer.status === 200) return plainContent(answer.headers, answer.body)',
      'return plainContent(answer.headers, answer.body)',
    ],
    seenBy('test/media.test.ts', 'a server may answer in many ways'),
  ),
]

export const guardsOfKeys: readonly Guard[] = [
  ...keyGuards,
  ...requestGuards,
  ...eduGuards,
  ...nameGuards,
  ...transportGuards,
]
