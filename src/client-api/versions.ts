/**
 * Tells clients which versions of the specification they may count on.
 *
 * A client that finds a version here calls what that version brought, so one is listed only if all of
 * that is served, or refused with the error by which the specification lets a server not offer it.
 * `docs/decisions/0007-versions-of-the-specification.md` goes through them one by one.
 *
 * @module
 */

import { getVersions } from '#endpoints/client-server/versions.ts'
import { answer } from '#http/endpoint.ts'
import type { Server } from '#server.ts'

const versionLast = 19
const versions = Array.from({ length: versionLast }, (_, index) => `v1.${index + 1}`)

/**
 * What is served beside these versions, and what clients look for here though a version that is listed
 * has it: by its proposal, with `stable` for what is served as the specification has it.
 */
const unstableFeatures = {
  // Private read receipts.
  'org.matrix.msc2285.stable': true,
  // Rooms that two users share.
  'uk.half-shot.msc2666.query_mutual_rooms': true,
  'uk.half-shot.msc2666.query_mutual_rooms.stable': true,
  // Jumping to a date.
  'org.matrix.msc3030.stable': true,
  // Threads, their list, and the direction in which they are read.
  'org.matrix.msc3440.stable': true,
  'org.matrix.msc3856.stable': true,
  'org.matrix.msc3715.stable': true,
  // Dehydrated devices.
  'org.matrix.msc3814': true,
  // Types of rooms in the published directory.
  'org.matrix.msc3827.stable': true,
  // Media for those who are logged in.
  'org.matrix.msc3916.stable': true,
  // Fields of profiles beside name and picture.
  'uk.tcpip.msc4133': true,
  'uk.tcpip.msc4133.stable': true,
  // Pushers that are switched on and off from other devices.
  'org.matrix.msc3881': true,
  // Events that are sent later.
  'org.matrix.msc4140': true,
  // Patterns of whom to be invited by.
  'org.matrix.msc4155': true,
  // The state after the timeline, in `/sync`.
  'org.matrix.msc4222': true,
  // Events that stick.
  'org.matrix.msc4354': true,
  // Profiles in sliding sync, and in `/sync`.
  'org.matrix.msc4262': true,
  'org.matrix.msc4429': true,
  'org.matrix.msc4429.stable': true,
  // Subscriptions to threads.
  'org.matrix.msc4306': true,
  // Not to be invited by anybody.
  'org.matrix.msc4380.stable': true,
  // Sliding sync.
  'org.matrix.simplified_msc3575': true,
  // Keys by which users vouch for their devices and for each other.
  'org.matrix.e2e_cross_signing': true,
}

export const versionsRoute = answer(
  getVersions,
  async (_, { livekitServiceUrls }: Pick<Server, 'livekitServiceUrls'>) => ({
    versions,
    unstable_features: {
      ...unstableFeatures,
      // What carries calls.
      ...(livekitServiceUrls.length > 0 && { 'org.matrix.msc4143': true }),
    },
  }),
)
