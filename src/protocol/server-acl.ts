/**
 * Server access control lists: which servers may take part in a room.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#server-access-control-lists-acls-for-rooms
 *
 * @module
 */

import { matchesGlob } from './glob.ts'
import type { ServerName } from './identifiers/ids.ts'
import { splitServerName } from './identifiers/server-name.ts'
import type { Json, JsonObject } from './json.ts'

/** The content of an `m.room.server_acl` event, read once for many servers. */
export interface ServerAcl {
  readonly allowIpLiterals: boolean
  readonly allow: readonly string[]
  readonly deny: readonly string[]
}

/** Reads the content of an `m.room.server_acl` event. What is not of the right type is not there. */
export function readServerAcl(content: JsonObject): ServerAcl {
  return {
    // Defaults to `true` if missing or otherwise not a boolean.
    allowIpLiterals: content.allow_ip_literals !== false,
    allow: readPatterns(content.allow),
    deny: readPatterns(content.deny),
  }
}

/** Whether the server may take part in a room with this list, or without one. */
export function isServerAllowed(acl: ServerAcl | undefined, serverName: ServerName): boolean {
  // If there is no `m.room.server_acl` event in the room state, allow.
  if (acl === undefined) return true
  const address = splitServerName(serverName)
  if (address === undefined) return false
  // If the server name is an IP address (v4 or v6) literal, and `allow_ip_literals` is present and
  // `false`, deny.
  if (!acl.allowIpLiterals && address.kind !== 'dns') return false
  // The suspect server's port number must not be considered.
  const host = (address.kind === 'ipv6' ? `[${address.host}]` : address.host).toLowerCase()
  // If the server name matches an entry in the `deny` list, deny.
  if (acl.deny.some((pattern) => matchesGlob(pattern, host))) return false
  // If the server name matches an entry in the `allow` list, allow. Otherwise, deny.
  return acl.allow.some((pattern) => matchesGlob(pattern, host))
}

/**
 * The patterns in lower case, as they are compared without regard to case. The size of the event bounds
 * how many there are.
 */
function readPatterns(value: Json | undefined): readonly string[] {
  if (!Array.isArray(value)) return []
  const patterns: string[] = []
  for (const pattern of value as readonly Json[]) {
    if (typeof pattern === 'string') patterns.push(pattern.toLowerCase())
  }
  return patterns
}
