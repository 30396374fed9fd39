/**
 * What goes into the content of membership events, beside the membership.
 *
 * @module
 */

import type { UserId } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'
import type { Server } from '#server.ts'

/** The name and picture of a user of this server, as they are in member events. */
export async function profileContent(
  { users }: Pick<Server, 'users'>,
  userId: UserId,
): Promise<JsonObject> {
  const { displayname, avatar_url } = (await users.profiles.local(userId)) ?? {}
  return {
    ...(displayname !== undefined && { displayname }),
    ...(avatar_url !== undefined && { avatar_url }),
  }
}

/** The reason a request gives, if it gives one. */
export function reasonContent({ reason }: { readonly reason?: string | undefined }): JsonObject {
  return reason === undefined ? {} : { reason }
}
