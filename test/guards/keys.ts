/**
 * Guards of keys, and of requests that are signed by them (B1 to B4).
 *
 * @module
 */

import { type Guard, ingress, one, out, seenBy } from './guard.ts'

const serverKeysAnswer = 'src/federation/server-keys-answer.ts'

const serverKeys = 'src/federation/server-keys.ts'

const authenticate = 'src/federation/authenticate-request.ts'

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
      'const head = { method, target, origin, destination: needs.serverName }',
      'const head = { method, target: decodeURIComponent(target), origin, destination: needs.serverName }',
    ],
    aRequest('as it should be'),
  ),
  one(
    'B4',
    'the check of the signature of a request',
    [
      authenticate,
      'if (await isSigned({ needs, request, rawBody, origin, claim, key })) {',
      'if (true) {',
    ],
    aRequest('another body'),
  ),
  one(
    'B4',
    'the strict reader of a body that is not canonical',
    [
      'src/protocol/signed-content.ts',
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

export const guardsOfKeys: readonly Guard[] = [...keyGuards, ...requestGuards]
