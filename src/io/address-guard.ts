/**
 * Which addresses Hansa connects to on its own. Other servers choose names, and names choose
 * addresses, so without a guard anybody could make us talk to what only we can reach: databases,
 * routers, a cloud's metadata service.
 *
 * The check is of the address that is dialled, in the very look-up of the connection, so that a name
 * that changes its mind between two look-ups gains nothing.
 *
 * @module
 */

import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'

/** Whether a host is an address, IPv4 or IPv6 without brackets, and no name. */
export function isAddress(host: string): boolean {
  return isIP(host) !== 0
}

/** Whether an address, IPv4 or IPv6 without brackets, is one of the public internet. */
export function isPublicAddress(address: string): boolean {
  if (isIP(address) === 0) return false
  const parsed = ipaddr.parse(address)
  if (parsed instanceof ipaddr.IPv4) return parsed.range() === 'unicast'
  // The IPv4 internet as IPv6-only networks see it (RFC 6052): the address inside decides.
  const [prefix, next] = parsed.parts
  if (prefix === 0x64 && next === 0xff9b && parsed.parts.slice(2, 6).every((part) => part === 0)) {
    return isPublicAddress(
      parsed.parts
        .slice(6)
        .flatMap((part) => [part >> 8, part & 255])
        .join('.'),
    )
  }
  // IANA has given out addresses in 2000::/3 only. What `range` names within it (6to4, Teredo,
  // documentation and the like) leads elsewhere than it seems to.
  return (prefix ?? 0) >> 13 === 1 && parsed.range() === 'unicast'
}
