/**
 * Federation for programs that are no homeserver, as `hansa/federation`: sign and send requests,
 * resolve server names, fetch keys, verify events. `docs/library.md` says what of it is stable, and
 * `examples/join-and-read.ts` joins a room with it.
 *
 * `openPeer` is where to begin. The rest is what it is made of, and the types it speaks in.
 *
 * @module
 */

import { pduCheckerInPlace } from '#io/pdu-checker-in-place.ts'
import { realClock } from '#io/real-clock.ts'
import { type RealNetworkOptions, realNetwork } from '#io/real-network.ts'
import { realRandom } from '#io/real-random.ts'
import { createPeer, type Peer, type PeerOptions } from './peer.ts'
import { makeSigningKey } from './signing-key.ts'

export type { IncomingAnswer } from '#io/http.ts'
export { HttpFailure } from '#io/http.ts'
export type { Log } from '#io/log.ts'
export { MatrixError } from '#protocol/matrix-error.ts'
export { draftOfTemplate, type TemplateDraft } from '#rooms/membership-template.ts'
export {
  FederationError,
  type KeyNeed,
  type Keyring,
  type MembershipTemplate,
  type RemoteServers,
  type RemoteState,
  type Signer,
} from '#rooms/remote-servers.ts'
export type { SignedIncoming } from './authenticate-request.ts'
export type { CallOptions, CallRequest, FederationClient } from './call.ts'
export type { Discovery, Target } from './discovery.ts'
export type { DiscoveryStep } from './discovery-steps.ts'
export type { KeyArchive } from './key-archive.ts'
export type { OldKey } from './own-keys.ts'
export { createPeer, type Peer, type PeerIo, type PeerOptions } from './peer.ts'
export { authorizationOf, type SignedRequest, signedBytes } from './request-signing.ts'
export { type PublishedServerKey, readServerKeys } from './server-keys-answer.ts'
export { SigningKeyRefused } from './signing-key.ts'
export { formatXMatrix, parseXMatrix, type XMatrix } from './x-matrix.ts'

/** Opens a peer on the network of this machine. Throws if the name or the key cannot be used. */
export function openPeer(options: PeerOptions & Partial<RealNetworkOptions>): Peer {
  const { ca = [], allowPrivateIps = false } = options
  return createPeer(options, {
    clock: realClock,
    random: realRandom,
    pduChecker: pduCheckerInPlace(realClock),
    ...realNetwork({ ca, allowPrivateIps }),
  })
}

/** The text of a key file, with a key that nobody has. */
export function newSigningKey(): string {
  return makeSigningKey(realRandom)
}
