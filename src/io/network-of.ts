/**
 * Whom an address stands for where somebody is counted by it.
 *
 * @module
 */

import { isIPv6 } from 'node:net'
import ipaddr from 'ipaddr.js'

/**
 * An IPv4 address as it is. Of an IPv6 address the first 64 bits: who has one has all of its network,
 * and would be somebody else with each connection.
 */
export function networkOf(address: string): string {
  if (!isIPv6(address)) return address
  const { parts } = ipaddr.IPv6.parse(address)
  return `${parts
    .slice(0, 4)
    .map((part) => part.toString(16))
    .join(':')}::/64`
}
