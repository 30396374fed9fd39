/**
 * What the parts of the engine share.
 *
 * @module
 */

import type { Clock } from '#io/clock.ts'
import type { Log } from '#io/log.ts'
import type { PduChecker } from '#io/pdu-checker.ts'
import type { Random } from '#io/random.ts'
import type { RoomId, ServerName } from '#protocol/identifiers/ids.ts'
import type { Database } from '#storage/database.ts'
import type { Streams } from '#storage/streams.ts'
import type { OwnKey } from './explain-signatures.ts'
import type { FairShare } from './fair-share.ts'
import type { NewsTaker } from './news.ts'
import type { PolicySignatures } from './policy.ts'
import type { RoomQueues } from './queues.ts'
import type { Keyring, Signer } from './remote-servers.ts'
import type { RoomCommit } from './rooms.ts'

/** The time of the thread, by who sends events and by room. */
export interface Shares {
  readonly origins: FairShare<ServerName>
  readonly rooms: FairShare<RoomId>
}

export interface EngineNeeds {
  readonly db: Database
  readonly streams: Streams
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly signer: Signer
  readonly keyring: Keyring
  readonly pduChecker: PduChecker
  /** Who has to let others go first; nobody, if it is not said. */
  readonly shares?: Shares | undefined
}

/** What reading needs of them: a running engine's, or of a store that nobody writes to here. */
export interface ReadParts {
  readonly db: Database
  readonly queues: Pick<RoomQueues, 'room'>
  /** Who we are; not known of a server that has never run. */
  readonly signer: OwnKey | undefined
}

export interface EngineParts extends EngineNeeds {
  readonly serverName: ServerName
  readonly queues: RoomQueues
  readonly policies: PolicySignatures
  readonly nextRoomNid: () => number
  readonly nextEventNid: () => number
  /**
   * A time for a create event, later than that of any other of this process: since version 12 two
   * create events that say the same at the same time would make the same room.
   */
  readonly nextCreateTs: () => number
  /** Asks what is to be added to a commit. */
  readonly takeNews: NewsTaker
  /** Tells a commit that was not made by a room's queue. */
  readonly tell: (commit: RoomCommit) => void
}
