/**
 * Proxies: who speaks for others, and is believed about whom they speak for.
 *
 * Each proxy adds the address of who asks it to the end of `X-Forwarded-For`. So the list is believed
 * from its end, as long as the next one is a proxy that is known: what is before that, anybody may have
 * written.
 *
 * @module
 */

import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'

/** Whether a text is an address, or a network such as `10.0.0.0/8`. */
export function isNetwork(text: string): boolean {
  const [address = '', bits, ...rest] = text.split('/')
  const family = isIP(address)
  if (family === 0 || rest.length > 0) return false
  if (bits === undefined) return true
  return /^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128)
}

export class Proxies {
  readonly #networks: readonly (readonly [ipaddr.IPv4 | ipaddr.IPv6, number])[]

  /** Addresses and networks, each of which `isNetwork`. */
  constructor(networks: readonly string[]) {
    this.#networks = networks.map((text) => {
      const [address = '', bits] = text.split('/')
      const parsed = ipaddr.parse(address)
      return [parsed, bits === undefined ? parsed.toByteArray().length * 8 : Number(bits)]
    })
  }

  /** Whether an address is one of a proxy. */
  has(address: string): boolean {
    if (isIP(address) === 0) return false
    const parsed = ipaddr.parse(address)
    return this.#networks.some(
      ([network, bits]) => network.kind() === parsed.kind() && parsed.match(network, bits),
    )
  }

  /** Who asks, if it is `peer` that we are connected with: itself, or whom it speaks for. */
  clientOf(peer: string, forwardedFor: string): string {
    let client = plainAddress(peer)
    for (const text of forwardedFor.split(',').reverse()) {
      const before = plainAddress(text.trim())
      if (!this.has(client) || isIP(before) === 0) return client
      client = before
    }
    return client
  }
}

/** An IPv4 peer of a socket that listens on IPv6 is still an IPv4 peer. */
export function plainAddress(address: string): string {
  const inside = /^::ffff:(?=\d+\.)/i
  return address.replace(inside, '')
}
