/**
 * The user directory: people that somebody may want to invite.
 *
 * Somebody finds those they share a room with, those who are in public rooms, and, if the administrator
 * wants it, all users of this server; each under the names that they are shown by there.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#user-directory
 *
 * @module
 */

import { localpartOf, serverNameOf } from '#protocol/identifiers/common-format.ts'
import type { UserId } from '#protocol/identifiers/ids.ts'
import { comparableText, isAmong, nameWords, rarestTerm } from '#protocol/search-terms.ts'
import {
  type DirectoryTermRow,
  directoryTerms,
  type ShownRow,
  shownTo,
} from '#storage/user-directory.ts'
import { createUserIndex, type UserIndex, type UserIndexNeeds } from './user-index.ts'

/** How many terms are looked at for one search, and how many of them at once. */
const lookedAtMax = 10_000
const lookedAtOnce = 250
/** How many users are put into order. */
const rankedMax = 500
/** How many words of what is searched for count. */
const wordsMax = 16

export interface FoundUser {
  readonly user_id: UserId
  readonly display_name?: string
  readonly avatar_url?: string
}

export interface FoundUsers {
  readonly results: readonly FoundUser[]
  readonly limited: boolean
}

export interface UserSearch {
  /** Who searches; they do not find themselves. */
  readonly userId: UserId
  readonly searchTerm: string
  readonly limit: number
}

export interface UserDirectory extends Pick<UserIndex, 'start' | 'close'> {
  search(search: UserSearch): Promise<FoundUsers>
}

export interface UserDirectoryNeeds extends UserIndexNeeds {
  /** Whether users of this server are found by all others of it. */
  readonly searchesAllUsers: boolean
}

export function createUserDirectory(needs: UserDirectoryNeeds): UserDirectory {
  const index = createUserIndex(needs)
  return {
    start: () => index.start(),
    close: () => index.close(),
    search: async (wanted) => {
      await index.catchUp()
      return await search(needs, wanted)
    },
  }
}

interface Candidate {
  readonly user: FoundUser
  /** The higher, the further up. */
  readonly rank: number
  /** In how many rooms they are together with who asks. */
  readonly shared: number
}

async function search(
  needs: UserDirectoryNeeds,
  { userId, searchTerm, limit }: UserSearch,
): Promise<FoundUsers> {
  const words = nameWords(searchTerm).slice(0, wordsMax)
  // The name of a server says little of a user: they are not looked for by it alone.
  const [beforeColon = ''] = searchTerm.split(':')
  const prefix = rarestTerm(nameWords(beforeColon).slice(0, wordsMax))
  if (prefix === undefined) return { results: [], limited: false }
  const found = new Map<UserId, Candidate | undefined>()
  let candidates = 0
  let after: DirectoryTermRow | undefined
  let isMore = true
  for (let lookedAt = 0; isMore && lookedAt < lookedAtMax && candidates < rankedMax; ) {
    if (lookedAt > 0) await needs.clock.yield()
    const rows = await directoryTerms(needs.db, { prefix, after, limit: lookedAtOnce })
    after = rows.at(-1)
    isMore = rows.length === lookedAtOnce
    lookedAt += rows.length
    const fresh = new Set(rows.map((row) => row.user_id).filter((id) => !found.has(id)))
    fresh.delete(userId)
    const shown = Map.groupBy(await shownTo(needs.db, userId, [...fresh]), (row) => row.user_id)
    for (const id of fresh) {
      const candidate = match(needs, { userId: id, rows: shown.get(id) ?? [], words, searchTerm })
      found.set(id, candidate)
      if (candidate !== undefined) candidates += 1
    }
  }
  const ordered = [...found.values()].filter((one) => one !== undefined).sort(inOrder)
  return {
    results: ordered.slice(0, limit).map(({ user }) => user),
    limited: isMore || ordered.length > limit,
  }
}

/** A user, under the name by which they are found and shown most often; if they are to be found. */
function match(
  { serverName, searchesAllUsers }: UserDirectoryNeeds,
  {
    userId,
    rows,
    words,
    searchTerm,
  }: {
    readonly userId: UserId
    readonly rows: readonly ShownRow[]
    readonly words: readonly string[]
    readonly searchTerm: string
  },
): Candidate | undefined {
  const inRooms = rows.filter((row) => row.everywhere === 0)
  const isLocal = serverNameOf(userId) === serverName
  if (inRooms.length === 0 && !(isLocal && searchesAllUsers)) return undefined
  const idWords = nameWords(userId)
  const names = isLocal ? rows.filter((row) => row.everywhere === 1) : inRooms
  const shown = names.find(({ name }) => {
    const all = [...idWords, ...nameWords(name)]
    return words.every((word) => isAmong(word, all))
  })
  if (shown === undefined) return undefined
  const shared = inRooms.reduce((sum, row) => sum + row.shared, 0)
  const { name, avatar_url } = shown
  const user = {
    user_id: userId,
    ...(name !== '' && { display_name: name }),
    ...(avatar_url !== '' && { avatar_url }),
  }
  return { user, shared, rank: rankOf({ userId, name, words, searchTerm, shared }) }
}

/** Whose whole name it is comes first, then whom one knows, then those who have such a word as it is. */
function rankOf(found: {
  readonly userId: UserId
  readonly name: string
  readonly words: readonly string[]
  readonly searchTerm: string
  readonly shared: number
}): number {
  const { userId, name, words, searchTerm, shared } = found
  const term = comparableText(searchTerm.trim())
  const isWhole = [userId, localpartOf(userId), comparableText(name)].some(
    (text) => text === term || `@${text}` === term,
  )
  const own = new Set([...nameWords(localpartOf(userId)), ...nameWords(name)])
  const areWhole = words.every((word) => own.has(word))
  return Number(isWhole) * 4 + Number(shared > 0) * 2 + Number(areWhole)
}

/** Ordered by rank and then whether or not profile info is available. */
function inOrder(a: Candidate, b: Candidate): number {
  return (
    b.rank - a.rank ||
    profileSize(b.user) - profileSize(a.user) ||
    b.shared - a.shared ||
    (a.user.user_id < b.user.user_id ? -1 : 1)
  )
}

function profileSize(user: FoundUser): number {
  return Object.keys(user).length
}
