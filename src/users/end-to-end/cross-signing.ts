/**
 * Cross-signing: takes users' cross-signing keys and their signatures, and tells who is concerned.
 *
 * Invariant: the self-signing and the user-signing key that are kept are signed by the master key that
 * is kept, and every signature that is kept has been verified.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#cross-signing
 *
 * @module
 */

import { Turns } from '#io/turns.ts'
import type { UserId } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import {
  type CrossSigningKeyRow,
  crossSigningKeysOf,
  deleteCrossSigningKey,
  deleteOtherSignatures,
  type KeySignatureRow,
  noteSigningKeyChange,
  setCrossSigningKey,
  setKeySignature,
  signatureCount,
  signaturesBy,
  touchOwnView,
} from '#storage/cross-signing.ts'
import { type Database, UnitFailed, type Writer } from '#storage/database.ts'
import { noteChangeOfDevice } from '#storage/device-lists.ts'
import type { Streams } from '#storage/streams.ts'
import {
  type CrossSigningUpload,
  checkSignedBy,
  isSignedBy,
  readUpload,
} from './cross-signing-keys.ts'
import type { DeviceLists } from './device-lists.ts'
import {
  type SignatureFailures,
  type SignedKeys,
  signerKeysOf,
  verifiedSignatures,
} from './key-signatures.ts'

/** How many signatures of one user are kept: of their devices, and of everybody they know. */
const signaturesMax = 10_000

export interface CrossSigning {
  /**
   * Takes a user's keys. `prove` is called where these would change what is there already; it throws
   * unless the user has proved who they are. Throws `MatrixError`.
   */
  upload(userId: UserId, upload: CrossSigningUpload, prove: () => Promise<void>): Promise<void>
  /** Takes what a user has signed; gives what could not be taken. */
  sign(userId: UserId, signed: SignedKeys): Promise<SignatureFailures>
}

export interface CrossSigningNeeds {
  readonly db: Database
  readonly streams: Pick<Streams, 'write'>
  readonly deviceLists: Pick<DeviceLists, 'announce' | 'tellClients'>
  /** The master keys of users of any server, as far as they can be had. */
  readonly mastersOf: (userIds: readonly UserId[]) => Promise<ReadonlyMap<UserId, JsonObject>>
}

export function createCrossSigning(needs: CrossSigningNeeds): CrossSigning {
  const turns = new Turns('cross-signing keys')
  return {
    upload: (userId, upload, prove) =>
      turns.run(userId, () => takeKeys(needs, readUpload(userId, upload), { userId, prove })),
    sign: (userId, signed) => turns.run(userId, () => takeSignatures(needs, userId, signed)),
  }
}

async function takeKeys(
  needs: CrossSigningNeeds,
  given: readonly CrossSigningKeyRow[],
  { userId, prove }: { readonly userId: UserId; readonly prove: () => Promise<void> },
): Promise<void> {
  const before = await crossSigningKeysOf(needs.db, [userId])
  const keyOf = (rows: readonly CrossSigningKeyRow[], wanted: string) =>
    rows.find(({ usage }) => usage === wanted)
  // Must be signed by the accompanying master signing key, or by the user's most recently uploaded
  // master signing key if no master signing key is included in the request.
  const master = keyOf(given, 'master') ?? keyOf(before, 'master')
  if (master === undefined) {
    throw new MatrixError(400, 'M_MISSING_PARAM', 'There is no master key yet: it comes first.')
  }
  for (const key of given) if (key.usage !== 'master') checkSignedBy(master, key)
  const fresh = given.filter(({ usage, key_json }) => keyOf(before, usage)?.key_json !== key_json)
  // The request contains no new keys.
  if (fresh.length === 0) return
  // User-Interactive Authentication MUST be performed, except if there is no existing master signing
  // key.
  if (keyOf(before, 'master') !== undefined) await prove()
  const gone = before.filter((key) => {
    const next = keyOf(fresh, key.usage)
    if (next !== undefined) return next.public_key !== key.public_key
    return key.usage !== 'master' && !isSignedBy(master, key)
  })
  const isForAll = [...fresh, ...gone].some(({ usage }) => usage !== 'user_signing')
  await writeForUser(needs, userId, (tx, stream) => {
    for (const key of gone) deleteCrossSigningKey(tx, key)
    for (const key of fresh) setCrossSigningKey(tx, key)
    if (isForAll) noteSigningKeyChange(tx, userId)
    touchOwnView(tx, { userId, targetId: userId, stream })
  }).catch(asKeyInUse)
}

async function takeSignatures(
  needs: CrossSigningNeeds,
  userId: UserId,
  signed: SignedKeys,
): Promise<SignatureFailures> {
  const { db } = needs
  const signer = await signerKeysOf(db, userId)
  const { good, failures } = await verifiedSignatures(signer, signed, needs.mastersOf)
  const fresh = await freshSignatures(needs, userId, good)
  if (fresh.length === 0) return failures
  if ((await signatureCount(db, userId)) + fresh.length > signaturesMax) {
    const problem = `You may have signed at most ${signaturesMax} keys.`
    throw new MatrixError(400, 'M_RESOURCE_LIMIT_EXCEEDED', problem)
  }
  const master = signer.crossSigning.get('master')?.public_key
  await writeForUser(needs, userId, (tx, stream) => {
    for (const row of fresh) {
      setKeySignature(tx, row)
      if (row.target_id !== userId) {
        // What was signed of the key before it is of no use any longer.
        deleteOtherSignatures(tx, row)
        touchOwnView(tx, { userId, targetId: row.target_id, stream })
      } else if (row.target_key === master) noteSigningKeyChange(tx, userId)
      else noteChangeOfDevice(tx, { userId, deviceId: row.target_key })
    }
  })
  return failures
}

async function freshSignatures(
  { db }: CrossSigningNeeds,
  userId: UserId,
  good: readonly KeySignatureRow[],
): Promise<KeySignatureRow[]> {
  if (good.length === 0) return []
  const nameOf = (row: KeySignatureRow) =>
    JSON.stringify([row.target_id, row.target_key, row.key_id, row.signature])
  const targets = new Set(good.map(({ target_id }) => target_id))
  const known = new Set((await signaturesBy(db, userId, [...targets])).map(nameOf))
  return good.filter((row) => !known.has(nameOf(row)))
}

/** Commits, tells the user's own clients, and others of what is for others. */
async function writeForUser(
  { streams, deviceLists }: CrossSigningNeeds,
  userId: UserId,
  collect: (tx: Writer, stream: number) => void,
): Promise<void> {
  const stream = await streams.write(1, (tx, position) => {
    collect(tx, position)
    return position
  })
  deviceLists.tellClients(userId, [], stream)
  await deviceLists.announce(userId)
}

/** The public key of one of the keys is the same as one of the user's device IDs. */
function asKeyInUse(error: unknown): never {
  if (!(error instanceof UnitFailed) || error.kind !== 'expectation') throw error
  const problem = 'One of the keys is the ID of one of your devices.'
  throw new MatrixError(403, 'M_FORBIDDEN', problem, { cause: error })
}
