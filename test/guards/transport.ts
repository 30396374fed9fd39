/**
 * Guards of names and of transport (B7 to B12).
 *
 * @module
 */

import { type Guard, one, seenBy } from './guard.ts'

const serverName = 'src/protocol/identifiers/server-name.ts'

const connector = 'src/io/tls-connector.ts'

const httpServer = 'src/io/http-server.ts'

const wellKnown = 'src/federation/well-known.ts'

const client = (title: string) => seenBy('src/io/http-client.test.ts', title)

const server = (title: string, cases?: string) => seenBy('src/io/http-server.test.ts', title, cases)

const discovery = (cases: string) =>
  seenBy('src/federation/discovery.test.ts', 'discovery: ${name}', `: ${cases}$`)

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
      'src/protocol/required-signatures.test.ts',
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
    seenBy('src/federation/well-known.test.ts', 'well-known is kept: ${name}'),
  ),
  one(
    'B9',
    'the shortest time after which a well-known file is asked for',
    [
      wellKnown,
      'return Math.min(Math.max(asked, shortestMs), longestMs)',
      'return Math.min(asked, longestMs)',
    ],
    seenBy('src/federation/well-known.test.ts', 'well-known is kept: ${name}'),
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
      'src/io/connection-limits.ts',
      'if (count >= connectionsPerAddressMax && !this.#proxies.has(address)) return false',
    ],
    seenBy(
      'src/io/connection-limits.test.ts',
      'one address has so many connections and no more, until one of them ends',
    ),
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
    seenBy('test/remote-media.test.ts', 'a server may answer in many ways'),
  ),
  one(
    'B12',
    'the check where a medium is that is elsewhere',
    [
      'src/federation/remote-media.ts',
      'if (answer.status === 200) return plainContent(answer.headers, answer.body)',
      'return plainContent(answer.headers, answer.body)',
    ],
    seenBy('test/remote-media.test.ts', 'a server may answer in many ways'),
  ),
]

export const guardsOfTransport: readonly Guard[] = [...nameGuards, ...transportGuards]
