/**
 * Matrix as functions of values: the part of Hansa that other programs may use as a library, as
 * `hansa/protocol`. It reads no clock, opens no socket and never waits.
 *
 * A PDU that comes from another server goes through:
 *
 * 1. `memberSpans` and `elementsOf`, which cut it out of the body as the bytes it is;
 * 2. `signatureNeeds`, which says what keys must be fetched first;
 * 3. `checkPdu`: strict parse, event format, signatures, content hash, event ID. What fails is dropped;
 *    only a wrong content hash is not a failure, but leaves the redacted event;
 * 4. `checkAuthRules` of `auth-rules/`, against the event's auth events, then against the state before
 *    it: what fails is *rejected*; then against the current state: what fails is *soft-failed*;
 * 5. `state-resolution/`, where the room's history forks.
 *
 * An event of one's own is made by `buildPdu`. Each module may be imported by itself too, as
 * `hansa/protocol/redaction.ts`.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#checks-performed-on-receipt-of-a-pdu
 *
 * @module
 */

export { checkAuthEvents, selectAuthEvents } from './auth-rules/auth-events.ts'
export { type AuthState, authStateOf } from './auth-rules/auth-state.ts'
export { checkAuthRules } from './auth-rules/check.ts'
export type { Verdict } from './auth-rules/verdict.ts'
export { type Base64Alphabet, decodeBase64, encodeBase64 } from './base64.ts'
export {
  addSignature,
  type BuiltPdu,
  buildPdu,
  type EventDraft,
  type EventReference,
  referenceTo,
} from './build-pdu.ts'
export { canonicalJson, canonicalJsonBytes, tryCanonicalJson } from './canonical-json.ts'
export {
  type CheckedPdu,
  checkPdu,
  keysByServer,
  type VerifyKey,
  type VerifyKeys,
} from './check-pdu.ts'
export { type SigningKey, signingKeyOf, verifyEd25519 } from './ed25519.ts'
export type { ReferenceRule } from './event-format.ts'
export { eventIdOf } from './event-id.ts'
export { matchesGlob } from './glob.ts'
export { contentHash, referenceHash } from './hashes.ts'
export {
  type HistoryVisibility,
  isVisibleToServer,
  isVisibleToUser,
  readHistoryVisibility,
  type Viewpoint,
} from './history-visibility.ts'
export { localpartOf, serverNameOf } from './identifiers/common-format.ts'
export { parseEventId, parseEventIdIn } from './identifiers/event-id.ts'
export type {
  EventId,
  KeyId,
  RoomAlias,
  RoomId,
  ServerName,
  UserId,
} from './identifiers/ids.ts'
export { algorithmOf, parseKeyId } from './identifiers/key-id.ts'
export { type MxcUri, parseMxcUri } from './identifiers/mxc-uri.ts'
export { parseRoomAlias } from './identifiers/room-alias.ts'
export {
  createEventIdOfRoom,
  parseRoomId,
  parseRoomIdIn,
  roomIdOfCreateEvent,
} from './identifiers/room-id.ts'
export {
  isIpLiteral,
  parseServerName,
  type ServerAddress,
  splitServerName,
} from './identifiers/server-name.ts'
export { isCompliantUserId, isLocalpart, parseUserId, userIdFor } from './identifiers/user-id.ts'
export { isJsonObject, type Json, type JsonObject, type RawNumber } from './json.ts'
export { type NumberRule, type ReadJson, readJson } from './json-reader.ts'
export {
  elementSpans,
  elementsOf,
  memberSpans,
  type ScanLimits,
  type ScannedObject,
  type Span,
  scanObject,
  scanSecondOfTwo,
} from './json-spans.ts'
export { type ParsedPdu, parsePdu } from './parse-pdu.ts'
export type { Pdu } from './pdu.ts'
export { redact } from './redaction.ts'
export { requiredSignatures } from './required-signatures.ts'
export { type RoomVersion, roomVersions } from './room-version.ts'
export { isServerAllowed, readServerAcl, type ServerAcl } from './server-acl.ts'
export { type SignatureNeed, signatureNeeds } from './signature-needs.ts'
export { type JsonSigner, type NamedKey, signatureProblem, signJson } from './signatures.ts'
export { resolveState } from './state-resolution/resolve-state.ts'
