/**
 * Makes rooms.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3createroom
 *
 * @module
 */

import { createRoom } from '#endpoints/client-server/create-room.ts'
import { answer, type RequestOf } from '#http/endpoint.ts'
import { serverNameOf } from '#protocol/identifiers/common-format.ts'
import type { RoomAlias, RoomId, UserId } from '#protocol/identifiers/ids.ts'
import { parseRoomAlias } from '#protocol/identifiers/room-alias.ts'
import { parseUserId } from '#protocol/identifiers/user-id.ts'
import { isJsonObject, type Json, type JsonObject } from '#protocol/json.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import { type RoomVersion, roomVersions } from '#protocol/room-version.ts'
import type { AlongsideRoom, LocalEvent } from '#rooms/rooms.ts'
import type { Server } from '#server.ts'
import { checkAliasesOfNewRoom } from './canonical-alias.ts'
import { requireMayPublish } from './list-public-rooms.ts'
import { profileContent } from './room-content.ts'
import { type AddressedInvite, inviteAddress } from './third-party-membership.ts'

type Needs = Pick<
  Server,
  | 'aliases'
  | 'defaultRoomVersion'
  | 'identityServers'
  | 'publicRooms'
  | 'rooms'
  | 'serverName'
  | 'users'
>
type Body = RequestOf<typeof createRoom>['body']
type StateEvent = Omit<LocalEvent, 'sender'>

/** What is asked for, with what follows from it. */
interface Plan {
  readonly creator: UserId
  readonly version: RoomVersion
  readonly preset: NonNullable<Body['preset']>
  readonly alias: RoomAlias | undefined
  readonly invited: readonly UserId[]
  readonly body: Body
}

export const createRoomRoute = answer(
  createRoom,
  async ({ body, session: { userId } }, needs: Needs) => {
    const plan = planOf(needs, userId, body)
    const isPublished = body.visibility === 'public'
    if (isPublished) await requireMayPublish(needs, userId)
    const make = (nameIn: AlongsideRoom) =>
      makeRoom(needs, plan, (tx, roomId) => {
        nameIn(tx, roomId)
        if (isPublished) needs.publicRooms.publishIn(tx, roomId)
      })
    const { alias } = plan
    const room_id =
      alias === undefined
        ? await make(() => {})
        : await needs.aliases.createWith(alias, userId, make)
    // Whoever is not invited yet when this ends halfway was not said to be: nobody was answered.
    await inviteAll(needs, plan, room_id)
    return { room_id }
  },
)

function planOf(needs: Needs, creator: UserId, body: Body): Plan {
  const version = roomVersions.get(body.room_version ?? needs.defaultRoomVersion)
  if (version === undefined) {
    const message = `This server does not know the room version '${body.room_version}'.`
    throw new MatrixError(400, 'M_UNSUPPORTED_ROOM_VERSION', message)
  }
  for (const { type } of body.initial_state ?? []) {
    if (type !== 'm.room.create' && type !== 'm.room.member') continue
    const message = `'${type}' cannot be set by 'initial_state'.`
    throw new MatrixError(400, 'M_INVALID_ROOM_STATE', message)
  }
  const alias = aliasOf(needs, body)
  for (const { type, state_key = '', content } of body.initial_state ?? []) {
    if (type !== 'm.room.canonical_alias' || state_key !== '') continue
    checkAliasesOfNewRoom(content, alias)
  }
  return {
    creator,
    version,
    // A visibility of public equates to a preset of public_chat and private visibility equates to a
    // preset of private_chat.
    preset: body.preset ?? (body.visibility === 'public' ? 'public_chat' : 'private_chat'),
    alias,
    invited: [...new Set(body.invite ?? [])].filter((userId) => userId !== creator),
    body,
  }
}

function aliasOf({ serverName }: Needs, { room_alias_name: name }: Body): RoomAlias | undefined {
  if (name === undefined) return undefined
  const alias =
    name === '' || name.includes(':') ? undefined : parseRoomAlias(`#${name}:${serverName}`)
  if (alias !== undefined) return alias
  throw new MatrixError(400, 'M_INVALID_PARAM', "'room_alias_name' is no localpart of an alias.")
}

async function makeRoom(needs: Needs, plan: Plan, alongside: AlongsideRoom): Promise<RoomId> {
  try {
    return await needs.rooms.createRoom({
      creator: plan.creator,
      version: plan.version,
      createContent: createContent(plan),
      joinContent: await profileContent(needs, plan.creator),
      events: eventsOf(plan),
      alongside,
    })
  } catch (error) {
    // The initial state implied by the parameters to the request is invalid: for example, the user's
    // power_level is set below that necessary to set the room name.
    const isOfRules =
      error instanceof MatrixError && (error.status === 403 || error.errcode === 'M_BAD_JSON')
    if (!isOfRules) throw error
    throw new MatrixError(400, 'M_INVALID_ROOM_STATE', error.message, { cause: error })
  }
}

/** The server will overwrite the following keys: `creator`, `room_version`. */
function createContent({ version, preset, invited, body, creator }: Plan): JsonObject {
  const { creator: _1, room_version: _2, ...given } = body.creation_content ?? {}
  if (!version.privilegedCreators) return given
  const named = additionalCreators(given.additional_creators)
  // When using the trusted_private_chat preset, the server SHOULD combine additional_creators
  // specified here and the invite array, deduplicating between the two parameters.
  const trusted = preset === 'trusted_private_chat' ? invited : []
  const all = [...new Set([...named, ...trusted])].filter((userId) => userId !== creator)
  return all.length === 0 ? given : { ...given, additional_creators: all }
}

function additionalCreators(value: Json | undefined): UserId[] {
  if (value === undefined) return []
  const texts = Array.isArray(value) ? (value as readonly Json[]) : [null]
  return texts.map((text) => {
    const userId = typeof text === 'string' ? parseUserId(text) : undefined
    if (userId !== undefined) return userId
    throw new MatrixError(400, 'M_BAD_JSON', "'additional_creators' must be a list of user IDs.")
  })
}

/** The events after the creator's join, in the order the spec asks for. */
function eventsOf(plan: Plan): StateEvent[] {
  const { alias, body, preset } = plan
  const { initial_state = [], name, topic } = body
  const initial = initial_state.map(({ type, state_key = '', content }) => ({
    type,
    state_key,
    content,
  }))
  // initial_state takes precedence over events set by preset.
  const isSet = ({ type }: StateEvent) =>
    initial.some((event) => event.type === type && event.state_key === '')
  return [
    state('m.room.power_levels', powerLevels(plan)),
    ...(alias === undefined ? [] : [state('m.room.canonical_alias', { alias })]),
    ...presetEvents[preset].filter((event) => !isSet(event)),
    ...initial,
    ...(name === undefined ? [] : [state('m.room.name', { name })]),
    ...(topic === undefined ? [] : [state('m.room.topic', topicContent(topic))]),
  ]
}

function state(type: string, content: JsonObject): StateEvent {
  return { type, state_key: '', content }
}

/** The topic as older clients read it, and with its mimetype. */
function topicContent(topic: string): JsonObject {
  return { topic, 'm.topic': { 'm.text': [{ mimetype: 'text/plain', body: topic }] } }
}

/** An event that says what holds without it (`guest_access: forbidden`) is left out, as others do. */
function preset(join_rule: string, guest_access: 'can_join' | 'forbidden'): StateEvent[] {
  return [
    state('m.room.join_rules', { join_rule }),
    state('m.room.history_visibility', { history_visibility: 'shared' }),
    ...(guest_access === 'forbidden' ? [] : [state('m.room.guest_access', { guest_access })]),
  ]
}

const presetEvents = {
  private_chat: preset('invite', 'can_join'),
  trusted_private_chat: preset('invite', 'can_join'),
  public_chat: preset('public', 'forbidden'),
}

/**
 * The default power levels, with those of the request put on top. What a new room lets whom do beyond
 * the spec's words is as in Synapse.
 */
function powerLevels({ creator, version, preset, invited, body }: Plan): JsonObject {
  // In room versions 12 and later, the room creator is given infinite power level and cannot be
  // specified in the users field.
  const equals = preset === 'trusted_private_chat' ? [creator, ...invited] : [creator]
  const users = version.privilegedCreators ? [] : equals.map((userId) => [userId, 100])
  const given = body.power_level_content_override ?? {}
  const events = isJsonObject(given.events) ? given.events : undefined
  return {
    users: Object.fromEntries(users),
    users_default: 0,
    events_default: 0,
    state_default: 50,
    ban: 50,
    kick: 50,
    redact: 50,
    invite: preset === 'public_chat' ? 50 : 0,
    ...given,
    events: events ?? {
      'm.room.name': 50,
      'm.room.avatar': 50,
      'm.room.canonical_alias': 50,
      'm.room.power_levels': 100,
      'm.room.history_visibility': 100,
      'm.room.encryption': 100,
      'm.room.server_acl': 100,
      // The power level for sending m.room.tombstone events MUST explicitly be higher than
      // state_default; where creators are above all levels, higher than any user's.
      'm.room.tombstone': version.privilegedCreators ? 150 : 100,
    },
  }
}

/** Invites everybody, also if somebody cannot be; the first failure is told then. */
async function inviteAll(needs: Needs, plan: Plan, roomId: RoomId): Promise<void> {
  const failures: unknown[] = []
  const attempt = async (inviting: Promise<unknown>) => {
    await inviting.then(
      () => {},
      (error: unknown) => failures.push(error),
    )
  }
  for (const target of plan.invited) await attempt(inviteUser(needs, plan, { roomId, target }))
  for (const invite of plan.body.invite_3pid ?? []) {
    await attempt(inviteOneAddress(needs, plan, roomId, invite))
  }
  if (failures.length > 0) throw failures[0]
}

async function inviteUser(
  needs: Needs,
  { creator: sender, body }: Plan,
  { roomId, target }: { readonly roomId: RoomId; readonly target: UserId },
): Promise<void> {
  const isLocal = serverNameOf(target) === needs.serverName
  if (isLocal) await needs.users.wishes.assertInvitable(target, sender)
  const profile = isLocal ? await profileContent(needs, target) : {}
  const content = { ...profile, ...(body.is_direct && { is_direct: true }) }
  await needs.rooms.invite({ sender, target, roomId, content })
}

async function inviteOneAddress(
  needs: Needs,
  plan: Plan,
  roomId: RoomId,
  invite: AddressedInvite,
): Promise<void> {
  const target = await inviteAddress(needs, { roomId, sender: plan.creator }, invite)
  if (target !== undefined) await inviteUser(needs, plan, { roomId, target })
}
