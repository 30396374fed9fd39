/**
 * Whose signatures an event needs.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#validating-hashes-and-signatures-on-received-events
 *
 * @module
 */

import { serverNameOf } from './identifiers/common-format.ts'
import { serverNameOfEventId } from './identifiers/event-id.ts'
import type { ServerName } from './identifiers/ids.ts'
import { parseUserId } from './identifiers/user-id.ts'
import type { Pdu } from './pdu.ts'

/** The servers that must have signed the event. A string says why no signatures suffice. */
export function requiredSignatures(pdu: Pdu): ReadonlySet<ServerName> | string {
  const required = new Set<ServerName>()
  // For room versions 3 and later, unless the event is a 3rd party invite, only the signature(s) from
  // the originating server (the server the `sender` belongs to) are required for verification.
  if (!isThirdPartyInvite(pdu)) required.add(serverNameOf(pdu.sender))
  // Room versions 1 and 2 also require that a signature is present from the domain in the `event_id`,
  // if it differs from the originating server.
  if (pdu.version.eventId === 'in-event') required.add(serverNameOfEventId(pdu.event_id))
  // If `content` has a `join_authorised_via_users_server` key: if the event is not validly signed by
  // the homeserver of the user ID denoted by the key, reject.
  // SPEC: this is one of the auth rules, of all `m.room.member` events; Synapse asks it of joins only,
  // and drops the event as Hansa does.
  if (pdu.version.restrictedJoins && pdu.type === 'm.room.member') {
    const authoriser = pdu.content.join_authorised_via_users_server
    if (authoriser !== undefined) {
      const userId = typeof authoriser === 'string' ? parseUserId(authoriser) : undefined
      if (userId === undefined) return 'join_authorised_via_users_server is no user ID'
      required.add(serverNameOf(userId))
    }
  }
  return required
}

/**
 * Whether the event is an invite that came of a third-party invite.
 *
 * If the event is a 3rd party invite, the sender must already match the 3rd party invite, and the
 * server which actually sends the event may be a different server. The auth rules check the first.
 */
function isThirdPartyInvite({ type, content }: Pdu): boolean {
  return (
    type === 'm.room.member' &&
    content.membership === 'invite' &&
    content.third_party_invite !== undefined
  )
}
