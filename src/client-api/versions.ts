/**
 * Tells clients which versions of the specification they may count on.
 *
 * A client that finds a version here calls what that version brought, so one is listed only once its
 * parts that clients call unasked are served. Clients of today need one of v1.1 and later to start.
 *
 * @module
 */

import { getVersions } from '#endpoints/client-server/versions.ts'
import { answer } from '#http/endpoint.ts'

const versions = ['v1.1']

/** What works though the version that brought it is not listed. */
const unstableFeatures = {
  // Keys by which users vouch for their devices and for each other.
  'org.matrix.e2e_cross_signing': true,
  // Events that are sent later.
  'org.matrix.msc4140': true,
  // Dehydrated devices.
  'org.matrix.msc3814': true,
  // Sliding sync.
  'org.matrix.simplified_msc3575': true,
  // Fields of profiles beside name and picture.
  'uk.tcpip.msc4133': true,
  'uk.tcpip.msc4133.stable': true,
}

export const versionsRoute = answer(getVersions, async () => ({
  versions,
  unstable_features: unstableFeatures,
}))
