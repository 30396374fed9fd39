/**
 * Signatures and hashes that are wrong, and events that were changed after they had got theirs.
 *
 * @module
 */

import type { ServerName } from '../../src/protocol/identifiers/ids.ts'
import { type RoomVersion, roomVersions } from '../../src/protocol/room-version.ts'
import {
  essentialsOf,
  hashed,
  type RawEvent,
  signed,
  textOf,
  withSignature,
} from '../scripted-peer/forged-event.ts'
import {
  accepted,
  after,
  before,
  type Change,
  type Forge,
  inEventId,
  type Malformation,
  type Options,
  redacted,
  referenceTo,
  set,
  setContent,
} from './malformation.ts'

/** The event with other signatures than it should have. */
const signatures = (
  name: string,
  sign: (event: RawEvent, forge: Forge) => RawEvent,
  options: Options = {},
): Malformation => ({
  name: `signatures: ${name}`,
  ...options,
  make: (event, forge) => textOf(sign(hashed(event), forge)),
})

/** Since version 5 a signature counts only if the key was valid at the event's time. */
const whereKeysExpire: Options = {
  fate: (version) => (version.signingKeyValidity ? 'dropped' : 'accepted'),
}

/** The right signature, of another kind than it must be. */
const rightSignature = (
  change: (signature: string) => unknown,
  { keyId }: { keyId?: string } = {},
): Change => {
  return (event, { version, signer }) => {
    const { signatures: all } = signed(event, signer, essentialsOf(version, event)) as {
      signatures: Record<string, Record<string, string>>
    }
    const signature = all[signer.serverName]?.[signer.keyId] ?? ''
    const by = { ...signer, keyId: keyId ?? signer.keyId }
    return withSignature(event, by, change(signature))
  }
}

const bytesOf = (signature: string) => Buffer.from(signature, 'base64')
const unpadded = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64').replace(/=+$/, '')

export const ofSignatures: readonly Malformation[] = [
  signatures('none at all', (event) => event),
  signatures('null', set('signatures', null)),
  signatures('a list', set('signatures', [])),
  signatures('a text', set('signatures', 'x')),
  signatures('of nobody', set('signatures', {})),
  signatures('of the server, and none', (event, { signer }) => ({
    ...event,
    signatures: { [signer.serverName]: {} },
  })),
  signatures('of the server, a list', (event, { signer }) => ({
    ...event,
    signatures: { [signer.serverName]: [] },
  })),
  signatures('by another key', (event, { version, impostor }) =>
    signed(event, impostor, essentialsOf(version, event)),
  ),
  signatures('by a key that nobody knows', (event, { version, impostor }) =>
    signed(event, { ...impostor, keyId: 'ed25519:unknown' }, essentialsOf(version, event)),
  ),
  signatures('of another server only', (event, { version, other }) =>
    signed(event, other, essentialsOf(version, event)),
  ),
  signatures('by another server in its name', (event, { version, other, signer }) =>
    signed(
      event,
      { ...other, serverName: signer.serverName, keyId: signer.keyId },
      essentialsOf(version, event),
    ),
  ),
  signatures('over the whole event', (event, { signer }) => signed(event, signer, textOf(event))),
  signatures('over another version’s redaction', (event, { version, signer }) =>
    signed(event, signer, essentialsOf(otherRedaction(version), event)),
  ),
  signatures('over the event without its hashes', (event, { version, signer }) => {
    const { hashes: _hashes, ...rest } = event
    return signed(event, signer, essentialsOf(version, rest))
  }),
  signatures('over nothing', (event, { signer }) => signed(event, signer, '')),
  signatures(
    'one bit wrong',
    rightSignature((signature) => {
      const bytes = bytesOf(signature)
      bytes[7] = (bytes[7] ?? 0) ^ 1
      return unpadded(bytes)
    }),
  ),
  signatures(
    'a byte short',
    rightSignature((signature) => unpadded(bytesOf(signature).subarray(0, 63))),
  ),
  signatures(
    'a byte more',
    rightSignature((signature) => unpadded(Buffer.concat([bytesOf(signature), Buffer.from('x')]))),
  ),
  signatures(
    'with characters between',
    rightSignature((signature) => `${signature.slice(0, 20)} \n${signature.slice(20)}`),
  ),
  signatures(
    'empty',
    rightSignature(() => ''),
  ),
  signatures(
    'a number',
    rightSignature(() => 7),
  ),
  signatures(
    'an object',
    rightSignature((signature) => ({ signature })),
  ),
  signatures(
    'of another algorithm',
    rightSignature((signature) => signature, { keyId: 'rsa:1' }),
  ),
  signatures(
    'of a key without an algorithm',
    rightSignature((signature) => signature, { keyId: '1' }),
  ),
  signatures(
    'by a key that had expired',
    (event, { version, old }) => signed(event, old, essentialsOf(version, event)),
    whereKeysExpire,
  ),
  signatures(
    'by a key that was good then',
    (event, { version, old }) => {
      const then = hashed({
        ...event,
        origin_server_ts: Number(event.origin_server_ts) - 7_200_000,
      })
      return signed(then, old, essentialsOf(version, then))
    },
    accepted,
  ),
  before(
    'signatures: of a time for which no key is known to be good',
    (event) => ({ ...event, origin_server_ts: Number(event.origin_server_ts) + 8 * 86_400_000 }),
    whereKeysExpire,
  ),
  signatures(
    'with padding',
    rightSignature((signature) => `${signature}==`),
    accepted,
  ),
  after(
    'signatures: of somebody else beside it',
    (event) =>
      withSignature(event, { serverName: 'x.test' as ServerName, keyId: 'ed25519:x' }, 'AAAA'),
    accepted,
  ),
]

function otherRedaction(version: RoomVersion): RoomVersion {
  const id = version.redaction.keepsOriginMembershipPrevState ? '11' : '10'
  return { ...version, redaction: (roomVersions.get(id) ?? version).redaction }
}

const withHashes = (name: string, hashes: unknown, options: Options = {}): Malformation => ({
  name: `hashes: ${name}`,
  ...options,
  make: (event, { version, signer }) => {
    const changed = { ...event, hashes }
    return textOf(signed(changed, signer, essentialsOf(version, changed)))
  },
})

export const hashes: readonly Malformation[] = [
  withHashes('none', undefined),
  withHashes('null', null),
  withHashes('a list', []),
  withHashes('of another kind only', { md5: 'x' }),
  withHashes('a number', { sha256: 7 }),
  withHashes('of something else', { sha256: 'A'.repeat(43) }, redacted),
  withHashes('that is none', { sha256: '!' }, redacted),
]

export const changedAfterwards: readonly Malformation[] = [
  after('content changed', setContent({ more: 1 }), redacted),
  after('a member added', set('extra', 1), redacted),
  after('origin changed', set('origin', 'x.test'), {
    fate: (version) => (version.redaction.keepsOriginMembershipPrevState ? 'dropped' : 'redacted'),
  }),
  after('content and its hash changed', (event) => {
    const { signatures: kept, ...rest } = setContent({ more: 1 })(event, undefined as never)
    return { ...hashed(rest), signatures: kept }
  }),
  after('depth changed', (event) => ({ ...event, depth: Number(event.depth) + 1 })),
  after('origin_server_ts changed', (event) => ({
    ...event,
    origin_server_ts: Number(event.origin_server_ts) + 1,
  })),
  after('prev_events changed', (event, { version }) => ({
    ...event,
    prev_events: [referenceTo(version, `$${'A'.repeat(43)}`)],
  })),
  after('auth_events changed', (event) => ({
    ...event,
    auth_events: (event.auth_events as unknown[]).slice(1),
  })),
  after('sender changed', (event, { signer }) => ({ ...event, sender: `@x:${signer.serverName}` })),
  after('type changed', (event) => ({ ...event, type: `${String(event.type)}x` })),
  after('state_key changed', (event, { signer }) => ({
    ...event,
    state_key: `@x:${signer.serverName}`,
  })),
  after('room_id changed', (event, { otherRoom }) => ({ ...event, room_id: otherRoom })),
  after('event_id changed', set('event_id', '$other:p.test:8448'), inEventId),
]
