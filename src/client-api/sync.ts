/**
 * Tells clients what has happened since they last asked.
 *
 * @module
 */

import { sync } from '#endpoints/client-server/sync.ts'
import { answer } from '#http/endpoint.ts'
import { RawJson } from '#http/raw-json.ts'
import type { UserId } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Server } from '#server.ts'
import { everything, parseFilterText, parseSyncFilter, type SyncFilter } from '#sync/filter.ts'
import { type SyncAnswer, timeoutMsMax } from '#sync/sync.ts'
import type { SyncRequest } from '#sync/sync-request.ts'
import { parseSince } from '#sync/token.ts'

export const syncRoute = answer(
  sync,
  async ({ query, session, signal }, needs: Pick<Server, 'presence' | 'sync' | 'users'>) => {
    const { userId, deviceId } = session
    const unstable = query['org.matrix.msc4222.use_state_after'] === true
    const stable = query.use_state_after === true
    const since = query.since === undefined ? undefined : parseSince(query.since)
    // If this parameter is omitted then the client is automatically marked as online when it uses this
    // API.
    const { set_presence: word = 'online', timeout: timeoutMs = 0 } = query
    await needs.presence.syncing(session, word, Math.min(timeoutMs, timeoutMsMax))
    const request: SyncRequest = {
      userId,
      deviceId,
      since: since?.stream,
      toDeviceSince: since?.toDevice,
      stickySince: since?.sticky,
      filter: await filterOf(needs, userId, query.filter),
      fullState: query.full_state ?? false,
      stateKey: stable ? 'state_after' : unstable ? 'org.matrix.msc4222.state_after' : 'state',
      timeoutMs,
      signal,
    }
    // Not awaited: of a request that waits for long, nothing is kept here.
    return needs.sync.sync(request).then(bodyOf)
  },
)

function bodyOf({ body, toDevice }: SyncAnswer) {
  return { ...body, to_device: { events: deviceMessages(toDevice) } }
}

/** Messages to the device as clients are given them. */
export function deviceMessages(messages: SyncAnswer['toDevice']) {
  return messages.map(({ sender, type, content_json }) => ({
    sender,
    type,
    content: new RawJson(Buffer.from(content_json)),
  }))
}

/** It is JSON if the first character is an open brace, else the ID of a filter. */
async function filterOf(
  { users }: Pick<Server, 'users'>,
  userId: UserId,
  text: string | undefined,
): Promise<SyncFilter> {
  if (text === undefined) return everything
  if (text.startsWith('{')) return parseSyncFilter(parseFilterText(text))
  const filter = await users.filters.get(userId, text)
  if (filter !== undefined) return parseSyncFilter(filter)
  throw new MatrixError(400, 'M_INVALID_PARAM', `There is no filter '${text.slice(0, 100)}'.`)
}
