/**
 * All targets. Those that need servers are opened when they are wanted.
 *
 * @module
 */

import type { OpenTarget, Target } from './target.ts'
import { multipart, serverKeys, srvRecords, transaction, wellKnown } from './targets/answers.ts'
import { config, filters, propertyPaths, pushRules, tokens } from './targets/clients.ts'
import { authRules, pdu, redaction } from './targets/events.ts'
import { json, spans } from './targets/json.ts'
import { serverKeyAnswers } from './targets/keys.ts'
import { membershipAnswers } from './targets/membership-answers.ts'
import { membershipRequests } from './targets/membership-requests.ts'
import { contentDisposition, identifiers, patterns, xMatrix } from './targets/names.ts'
import { roomAnswers } from './targets/room-answers.ts'
import { edus, transactions } from './targets/servers.ts'
import { stateResolution } from './targets/state-resolution.ts'
import { imageHeaders, openGraph, urlPreviews } from './targets/web.ts'

const plain: readonly Target[] = [
  json,
  spans,
  pdu,
  redaction,
  authRules,
  stateResolution,
  identifiers,
  xMatrix,
  patterns,
  contentDisposition,
  serverKeys,
  wellKnown,
  srvRecords,
  transaction,
  multipart,
  openGraph,
  urlPreviews,
  imageHeaders,
  tokens,
  filters,
  pushRules,
  propertyPaths,
  config,
]

export const targets: ReadonlyMap<string, OpenTarget> = new Map<string, OpenTarget>([
  ...plain.map((target) => [target.name, () => target] as const),
  ['server-key-answers', serverKeyAnswers],
  ['transactions', transactions],
  ['edus', edus],
  ['room-answers', roomAnswers],
  ['membership-answers', membershipAnswers],
  ['membership-requests', membershipRequests],
])
