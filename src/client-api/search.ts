/**
 * Searches in rooms.
 *
 * @module
 */

import { search } from '#endpoints/client-server/search.ts'
import { answer, type RequestOf } from '#http/endpoint.ts'
import { searchFields } from '#protocol/search-terms.ts'
import type { SearchRequest } from '#search/search.ts'
import { parseSearchToken } from '#search/search-token.ts'
import type { Server } from '#server.ts'
import { parseRoomEventFilter } from '#sync/filter.ts'

/** How many results an answer holds if the client does not say, and at most. */
const limitDefault = 10
const limitMax = 50
/** How many events before and after a result are given if the client does not say, and at most. */
const contextDefault = 5
const contextMax = 20

type Wish = NonNullable<RequestOf<typeof search>['body']['search_categories']['room_events']>

export const searchRoute = answer(
  search,
  async ({ query: { next_batch }, body, session }, needs: Pick<Server, 'search'>) => {
    const wish = body.search_categories.room_events
    if (wish === undefined) return { search_categories: {} }
    const filter = parseRoomEventFilter(wish.filter ?? {})
    const groupBy = (wish.groupings?.group_by ?? []).flatMap(({ key }) => key ?? [])
    const room_events = await needs.search.search({
      userId: session.userId,
      deviceId: session.deviceId,
      searchTerm: wish.search_term,
      // The keys to search. Defaults to all.
      fields: wish.keys ?? searchFields,
      filter,
      order: wish.order_by ?? 'rank',
      limit: Math.max(1, Math.min(filter.limit ?? limitDefault, limitMax)),
      from: next_batch === undefined ? undefined : parseSearchToken(next_batch),
      context: contextOf(wish),
      includeState: wish.include_state ?? false,
      groupBy: [...new Set(groupBy)],
    })
    return { search_categories: { room_events } }
  },
)

function contextOf({ event_context: wish }: Wish): SearchRequest['context'] {
  if (wish === undefined) return undefined
  const { before_limit = contextDefault, after_limit = contextDefault } = wish
  return {
    beforeLimit: Math.min(before_limit, contextMax),
    afterLimit: Math.min(after_limit, contextMax),
    includeProfile: wish.include_profile ?? false,
  }
}
