/**
 * All settings of Hansa: the only list. `docs/config.md` is made from it.
 *
 * Keys whose feature is not built are checked all the same, so that one configuration serves
 * several versions of Hansa. `withoutEffect` names them: to set one is told in the log at start.
 *
 * @module
 */

import { isNetwork } from '#io/proxies.ts'
import type { RoomId, ServerName, UserId } from '#protocol/identifiers/ids.ts'
import { parseRoomId } from '#protocol/identifiers/room-id.ts'
import { parseServerName } from '#protocol/identifiers/server-name.ts'
import { parseUserId } from '#protocol/identifiers/user-id.ts'
import { roomVersions } from '#protocol/room-version.ts'
import {
  flag,
  integer,
  list,
  oneOf,
  orNull,
  required,
  section,
  setting,
  type TableOf,
  table,
  text,
  textThat,
} from './kinds.ts'

const serverName = textThat<ServerName>(
  'a server name such as example.org, example.org:8448 or [::1]:8448',
  (found) => parseServerName(found) !== undefined,
)
const httpUrl = textThat<string>(
  'an http or https URL',
  (found) => URL.canParse(found) && ['http:', 'https:'].includes(new URL(found).protocol),
)
const publicKey = textThat<string>('an Ed25519 public key: 32 bytes in unpadded Base64', (found) =>
  /^[A-Za-z0-9+/]{43}$/.test(found),
)
const userId = textThat<UserId>(
  'a user ID such as @admin:example.org',
  (found) => parseUserId(found) !== undefined,
)
const roomId = textThat<RoomId>(
  'a room ID such as !list:example.org',
  (found) => parseRoomId(found) !== undefined,
)
const roomVersion = textThat<string>(`one of ${[...roomVersions.keys()].join(', ')}`, (found) =>
  roomVersions.has(found),
)

const tls = table({
  cert: required(text, 'The certificate with its chain: a PEM file.'),
  key: required(text, 'Its private key: a PEM file.'),
})

const network = textThat<string>('an address, or a network such as 10.0.0.0/8', isNetwork)

const onThisMachine = ['127.0.0.0/8', '::1']

const listener = table({
  host: setting(text, '127.0.0.1', 'The address to listen on. `0.0.0.0` and `::` are all of them.'),
  port: required(integer(0, 65535), 'The port; 0 is any free one.'),
  tls: setting(orNull(tls), null, 'A certificate, or null for plain HTTP.'),
  apis: setting(
    list(oneOf('client', 'federation', 'media', 'admin', 'metrics')),
    ['client', 'federation', 'media'],
    'Which APIs are served here. `metrics` has no operations in this version.',
  ),
  trusted_proxies: setting(
    list(network, 100),
    onThisMachine,
    'Proxies that are believed when they say in `X-Forwarded-For` for whom they ask. Whoever is at such an address can seem to be anybody.',
  ),
})

const database = table({
  type: setting(oneOf('sqlite', 'postgres'), 'sqlite', 'Which database.'),
  path: setting(orNull(text), null, 'SQLite: the file. By default `hansa.db` in `data_dir`.'),
  url: setting(orNull(text), null, 'PostgreSQL: `postgres://user:password@host/name`.'),
})

const retry = table({
  min_ms: setting(integer(1, 86_400_000), 15_000, 'The first pause after a server failed us.'),
  max_ms: setting(integer(1, 604_800_000), 21_600_000, 'The longest; pauses double up to it.'),
})

const federation = table({
  enabled: setting(flag, true, 'Whether this server talks with others.'),
  address: setting(
    orNull(serverName),
    null,
    'Where other servers reach this one, if not where its name says, such as `matrix.example.org:443`: what `/.well-known/matrix/server` answers.',
  ),
  ca_files: setting(list(text), [], 'PEM files of authorities to trust beside the usual ones.'),
  allow_private_ips: setting(
    flag,
    false,
    'Whether other servers may be at private or loopback addresses.',
  ),
  trusted_key_servers: setting(
    list(serverName),
    [],
    'Servers asked for the keys of servers that do not answer.',
  ),
  key_server_quorum: setting(
    integer(1, 10),
    1,
    'How many of them must give the same key before it is believed.',
  ),
  stolen_keys: setting(
    list(publicKey, 1000),
    [],
    'Public keys of servers that were stolen, in Base64: nothing signed with one is believed.',
  ),
  allow: setting(
    orNull(list(text)),
    null,
    'The only servers to talk with. `*` and `?` are wildcards; null is all.',
  ),
  deny: setting(list(text), [], 'Servers not to talk with. `*` and `?` are wildcards.'),
  profiles_for: setting(
    oneOf('anyone', 'shared_rooms'),
    'anyone',
    'Which servers are told the profiles of users here: all, or those whose users share a room with them, did so or may do so, being invited. To others a user is then as one who does not exist, and is found by name alone, without a picture.',
  ),
  keys_for: setting(
    oneOf('anyone', 'shared_rooms'),
    'anyone',
    'Which servers are told of their devices and keys, likewise. Clients look for the keys of whom they are about to invite, and begin the conversation without encryption if they find none: `shared_rooms` makes that so for all who are strangers.',
  ),
  retry: section(retry, 'When to try a server again that did not answer.'),
})

const registration = table({
  enabled: setting(flag, false, 'Whether anybody may make an account.'),
  verification: setting(
    oneOf('none', 'email'),
    'none',
    'What is asked for beside a password. `email`: an address of one’s own, to which a mail is sent (see `email`).',
  ),
  shared_secret: setting(
    orNull(text),
    null,
    'Whoever knows it may make accounts, also of administrators.',
  ),
  tokens: setting(flag, false, 'Whether an account needs a registration token.'),
  guests: setting(flag, false, 'Whether guests may come in without an account.'),
})

const roomDirectory = table({
  over_federation: setting(flag, true, 'Whether other servers may see it.'),
  without_auth: setting(flag, true, 'Whether it is shown to who is not logged in.'),
  publication: setting(oneOf('anyone', 'admins', 'nobody'), 'anyone', 'Who may put rooms on it.'),
})

const support = table({
  contacts: setting(
    list(
      table({
        role: setting(
          text,
          'm.role.admin',
          '`m.role.admin`, `m.role.security` or a name of one’s own.',
        ),
        matrix_id: setting(orNull(userId), null, 'A user ID, also of another server.'),
        email_address: setting(orNull(text), null, 'An e-mail address.'),
      }),
      100,
    ),
    [],
    'Who can be turned to about this server.',
  ),
  page: setting(orNull(httpUrl), null, 'A page with help.'),
})

const policyServer = table({
  enabled: setting(
    flag,
    false,
    'Whether rooms may choose this server as their policy server, which has a say in each event.',
  ),
  denied_servers: setting(list(text), [], 'Servers whose users’ events are refused.'),
  denied_users: setting(list(text), [], 'Users whose events are refused.'),
  policy_lists: setting(
    list(roomId, 100),
    [],
    'Rooms with policy lists: whom they ban is refused. This server must be in them.',
  ),
  denied_event_types: setting(list(text), [], 'Types of events that are refused.'),
  denied_message_types: setting(list(text), [], 'Types of messages, such as `m.image`.'),
  denied_words: setting(list(text), [], 'Pieces of text, whatever their case.'),
  max_event_bytes: setting(orNull(integer(1, 65_536)), null, 'The size of an event.'),
  max_mentions: setting(orNull(integer(0, 1000)), null, 'The users an event mentions.'),
  max_clock_skew_ms: setting(
    orNull(integer(1000, 31_536_000_000)),
    null,
    'How far from now an event may say that it was sent.',
  ),
  events_per_minute_of_user: setting(orNull(integer(1, 100_000)), 120, 'The events of one user.'),
  events_per_minute_of_server: setting(
    orNull(integer(1, 10_000_000)),
    6000,
    'The events of all users of one server.',
  ),
  exempt_power_level: setting(
    orNull(integer(0, Number.MAX_SAFE_INTEGER)),
    50,
    'The power level from which on none of this holds for a user.',
  ),
})

const turn = table({
  uris: setting(
    list(text, 20),
    [],
    'TURN servers for calls, such as `turn:turn.example.org?transport=udp`.',
  ),
  shared_secret: setting(
    orNull(text),
    null,
    'The secret that they share with this server: `static-auth-secret` of coturn.',
  ),
  ttl_ms: setting(integer(60_000, 604_800_000), 86_400_000, 'How long a password is good.'),
})

const userDirectory = table({
  search_all_users: setting(
    flag,
    false,
    'Whether all users of this server are found, and not only those in rooms that are public or that one is in.',
  ),
})

const outboundHttp = table({
  ca_files: setting(list(text), [], 'PEM files of authorities to trust beside the usual ones.'),
  verify_tls: setting(flag, true, 'Whether certificates are checked.'),
  allow_private_ips: setting(flag, false, 'Whether private addresses may be asked.'),
})

const email = table({
  smtp_host: setting(
    orNull(text),
    null,
    'The mail server. Without it, and without `from`, no mail is sent, and no account has an address.',
  ),
  smtp_port: setting(integer(1, 65535), 587, 'Its port.'),
  smtp_tls: setting(
    oneOf('starttls', 'tls', 'none'),
    'starttls',
    '`starttls` begins without TLS and goes on with it, `tls` (port 465) begins with it; both send nothing without. `none` is for a mail server on the same machine.',
  ),
  smtp_user: setting(orNull(text), null, 'The name to log in with there, or null not to log in.'),
  smtp_password: setting(orNull(text), null, 'The password for it.'),
  from: setting(
    orNull(text),
    null,
    'The sender of mails: an address, or a name with one, as in `Example <matrix@example.org>`.',
  ),
})

const media = table({
  max_upload_bytes: setting(
    integer(0, 1_099_511_627_776),
    52_428_800,
    'The largest file, in bytes, that is taken from users or fetched from other servers.',
  ),
  remote_cache_bytes: setting(
    integer(0, 1_125_899_906_842_624),
    10_737_418_240,
    'How much of other servers’ media is kept, in bytes.',
  ),
  fetch_bytes_per_second: setting(
    orNull(integer(1, 1_099_511_627_776)),
    89_088,
    'How much media is fetched of one other server, and for one user, in bytes a second, once `fetch_burst_bytes` are used up; null is no limit. More where the line is fast and users share large files with few servers.',
  ),
  fetch_burst_bytes: setting(
    integer(0, 1_125_899_906_842_624),
    524_288_000,
    'How much of that may be fetched at once after a pause, in bytes.',
  ),
  without_login: setting(
    flag,
    false,
    'Whether media is given to anybody, by the endpoints that the specification deprecates.',
  ),
})

const log = table({
  level: setting(oneOf('error', 'warn', 'info', 'debug'), 'info', 'How much is written.'),
  format: setting(oneOf('json', 'text'), 'json', 'A JSON object a line, or text for people.'),
})

export const settings = table({
  server_name: required(
    serverName,
    'The name of this server, the part of its user IDs after the colon. It can never change.',
  ),
  public_baseurl: setting(
    orNull(httpUrl),
    null,
    'Where clients reach this server. By default `https://` and the server name.',
  ),
  data_dir: setting(text, './data', 'Where the database and the signing key are kept.'),
  listeners: setting(
    list(listener, 100),
    [
      {
        host: '127.0.0.1',
        port: 8008,
        tls: null,
        apis: ['client', 'federation', 'media', 'admin'],
        trusted_proxies: onThisMachine,
      },
    ],
    'Where this server listens.',
  ),
  database: section(database, 'Where everything is stored.'),
  disk_reserve_bytes: setting(
    integer(0, 1_125_899_906_842_624),
    1_073_741_824,
    'With less than this free on its disk, in bytes, or less than a fiftieth, the server writes nothing.',
  ),
  default_room_version: setting(
    roomVersion,
    '12',
    'The version of rooms whose creator asks for none.',
  ),
  federation: section(federation, 'How this server talks with others.'),
  registration: section(registration, 'Who may make an account.'),
  password_hash_cost: setting(
    orNull(integer(1, 100)),
    null,
    'The passes of argon2id over its memory. Null is the recommended cost; 1 is for tests.',
  ),
  rate_limits: setting(
    flag,
    true,
    'Whether clients and other servers that ask too often are told to wait, and users of other servers who invite ours too often.',
  ),
  load_shedding: setting(
    flag,
    true,
    'Whether what can best be spared is refused while there is too much to do. Off where it is other programs that make the machine slow, as in tests.',
  ),
  presence: setting(flag, true, 'Whether users may show others that they are online.'),
  room_directory: section(roomDirectory, 'The list of public rooms.'),
  policy_server: section(
    policyServer,
    'What this server lets into rooms that chose it as their policy server. `*` and `?` are wildcards; null is no limit.',
  ),
  support: section(support, 'What `/.well-known/matrix/support` answers.'),
  turn: section(turn, 'Servers that help clients to call each other.'),
  livekit_service_urls: setting(
    list(httpUrl, 10),
    [],
    'The LiveKit services that carry calls of more than two: the URLs of their authorisation services.',
  ),
  user_directory: section(userDirectory, 'The search for users.'),
  url_previews: setting(
    flag,
    false,
    'Whether this server fetches links for its clients, to show what they lead to. Only public addresses are dialled, unless `outbound_http.allow_private_ips` is set.',
  ),
  media: section(media, 'Files that users upload, and those of other servers.'),
  outbound_http: section(
    outboundHttp,
    'Requests that are not federation: media that is kept elsewhere, push, previews.',
  ),
  email: section(
    email,
    'How mail is sent, by which users show that an address is theirs: to add it to their account, to set another password with it, to register.',
  ),
  app_services: setting(list(text), [], 'Registration files of application services.'),
  log: section(log, 'The log, on standard output.'),
})

/** Keys that change nothing in this version. */
export const withoutEffect: readonly string[] = ['app_services']

export type Config = TableOf<typeof settings.fields>
