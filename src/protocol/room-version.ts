/**
 * How one room version differs from the next, as data. Nothing else may ask for a version by name:
 * code asks what the version does.
 *
 * https://spec.matrix.org/v1.19/rooms/
 *
 * @module
 */

export interface RoomVersion {
  /** The name of the version, as in `m.room.create`. */
  readonly id: string
  readonly stateResolution: 'v1' | 'v2' | 'v2.1'
  /** Where the event ID is: a field of the event (1, 2), or its reference hash in base64 (3) or URL-safe base64 (4 and later). */
  readonly eventId: 'in-event' | 'base64' | 'base64url'
  /** Whether `prev_events` and `auth_events` are `[id, {sha256}]` pairs (1, 2) rather than IDs. */
  readonly referencesHaveHashes: boolean
  /** Whether a signature counts only if the key was valid at `origin_server_ts`. Since version 5. */
  readonly signingKeyValidity: boolean
  /** Whether events must be canonical JSON, with integers in range, on receipt. Since version 6. */
  readonly strictCanonicalJson: boolean
  /** Whether `m.room.aliases` has an auth rule of its own and its `aliases` survive redaction. Until version 5. */
  readonly aliasesAreSpecial: boolean
  /** Whether `m.room.redaction` has an auth rule of its own. Versions 1 and 2. */
  readonly redactionAuthRule: boolean
  /** Whether changes of `notifications` in `m.room.power_levels` are checked. Since version 6. */
  readonly notificationLevelsChecked: boolean
  /** Whether `knock` is a membership. Since version 7. */
  readonly knocking: boolean
  /** Whether `restricted` is a join rule. Since version 8. */
  readonly restrictedJoins: boolean
  /** Whether `knock_restricted` is a join rule. Since version 10. */
  readonly knockRestrictedJoins: boolean
  /** Whether power levels must be integers. Since version 10. */
  readonly integerPowerLevels: boolean
  /** Whether the creator is the create event's `sender` rather than its `content.creator`. Since version 11. */
  readonly creatorIsSender: boolean
  /** Whether `redacts` is in a redaction's content rather than beside it. Since version 11. */
  readonly redactsInContent: boolean
  /** Whether the room ID is the create event's ID, which then is in no `auth_events`. Since version 12. */
  readonly roomIdIsCreateEventId: boolean
  /** Whether creators have infinite power, and `additional_creators` exist. Since version 12. */
  readonly privilegedCreators: boolean
  readonly redaction: RedactionRules
}

/** What redaction keeps, beyond what every version keeps. */
export interface RedactionRules {
  /** `origin`, `membership` and `prev_state` at the top level. Until version 10. */
  readonly keepsOriginMembershipPrevState: boolean
  /** `aliases` of `m.room.aliases`. Until version 5. */
  readonly keepsAliases: boolean
  /** `allow` of `m.room.join_rules`. Since version 8. */
  readonly keepsJoinRulesAllow: boolean
  /** `join_authorised_via_users_server` of `m.room.member`. Since version 9. */
  readonly keepsJoinAuthorisedVia: boolean
  /** All content of `m.room.create`. Since version 11. */
  readonly keepsAllOfCreate: boolean
  /** `invite` of `m.room.power_levels`. Since version 11. */
  readonly keepsInviteLevel: boolean
  /** `third_party_invite.signed` of `m.room.member`. Since version 11. */
  readonly keepsThirdPartyInviteSigned: boolean
  /** `redacts` in the content of `m.room.redaction`. Since version 11. */
  readonly keepsContentRedacts: boolean
}

const v1: RoomVersion = {
  id: '1',
  stateResolution: 'v1',
  eventId: 'in-event',
  referencesHaveHashes: true,
  signingKeyValidity: false,
  strictCanonicalJson: false,
  aliasesAreSpecial: true,
  redactionAuthRule: true,
  notificationLevelsChecked: false,
  knocking: false,
  restrictedJoins: false,
  knockRestrictedJoins: false,
  integerPowerLevels: false,
  creatorIsSender: false,
  redactsInContent: false,
  roomIdIsCreateEventId: false,
  privilegedCreators: false,
  redaction: {
    keepsOriginMembershipPrevState: true,
    keepsAliases: true,
    keepsJoinRulesAllow: false,
    keepsJoinAuthorisedVia: false,
    keepsAllOfCreate: false,
    keepsInviteLevel: false,
    keepsThirdPartyInviteSigned: false,
    keepsContentRedacts: false,
  },
}
const v2: RoomVersion = { ...v1, id: '2', stateResolution: 'v2' }
const v3: RoomVersion = {
  ...v2,
  id: '3',
  eventId: 'base64',
  referencesHaveHashes: false,
  redactionAuthRule: false,
}
const v4: RoomVersion = { ...v3, id: '4', eventId: 'base64url' }
const v5: RoomVersion = { ...v4, id: '5', signingKeyValidity: true }
const v6: RoomVersion = {
  ...v5,
  id: '6',
  strictCanonicalJson: true,
  aliasesAreSpecial: false,
  notificationLevelsChecked: true,
  redaction: { ...v5.redaction, keepsAliases: false },
}
const v7: RoomVersion = { ...v6, id: '7', knocking: true }
const v8: RoomVersion = {
  ...v7,
  id: '8',
  restrictedJoins: true,
  redaction: { ...v7.redaction, keepsJoinRulesAllow: true },
}
const v9: RoomVersion = {
  ...v8,
  id: '9',
  redaction: { ...v8.redaction, keepsJoinAuthorisedVia: true },
}
const v10: RoomVersion = { ...v9, id: '10', knockRestrictedJoins: true, integerPowerLevels: true }
const v11: RoomVersion = {
  ...v10,
  id: '11',
  creatorIsSender: true,
  redactsInContent: true,
  redaction: {
    ...v10.redaction,
    keepsOriginMembershipPrevState: false,
    keepsAllOfCreate: true,
    keepsInviteLevel: true,
    keepsThirdPartyInviteSigned: true,
    keepsContentRedacts: true,
  },
}
const v12: RoomVersion = {
  ...v11,
  id: '12',
  stateResolution: 'v2.1',
  roomIdIsCreateEventId: true,
  privilegedCreators: true,
}

/** All room versions that Hansa knows, by name. All are stable. */
export const roomVersions: ReadonlyMap<string, RoomVersion> = new Map(
  [v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12].map((version) => [version.id, version]),
)
