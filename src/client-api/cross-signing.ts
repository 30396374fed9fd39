/**
 * Takes cross-signing keys and signatures.
 *
 * @module
 */

import { createHash } from 'node:crypto'
import {
  uploadCrossSigningKeys,
  uploadCrossSigningSignatures,
} from '#endpoints/client-server/cross-signing.ts'
import { answer } from '#http/endpoint.ts'
import { canonicalJson } from '#protocol/canonical-json.ts'
import type { Server } from '#server.ts'
import { byUserId } from './keys.ts'
import { proveIdentity } from './prove-identity.ts'

type Needs = Pick<Server, 'endToEnd' | 'users'>

export const crossSigningRoutes = [
  answer(uploadCrossSigningKeys, async ({ session, body }, { endToEnd, users }: Needs) => {
    const { auth, master_key, self_signing_key, user_signing_key } = body
    const upload = {
      masterKey: master_key,
      selfSigningKey: self_signing_key,
      userSigningKey: user_signing_key,
    }
    await endToEnd.crossSigning.upload(session.userId, upload, async () => {
      const keys = [master_key ?? null, self_signing_key ?? null, user_signing_key ?? null]
      // The password is given for these keys, and for no others.
      const which = createHash('sha256').update(canonicalJson(keys)).digest('base64')
      const operation = `replace cross-signing keys ${which}`
      await proveIdentity(users, session, { operation, auth })
    })
    return {}
  }),
  answer(uploadCrossSigningSignatures, async ({ session, body }, { endToEnd }: Needs) => ({
    failures: await endToEnd.crossSigning.sign(session.userId, byUserId(body)),
  })),
]
