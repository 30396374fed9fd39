/**
 * The Domain Name System, as far as server discovery needs it.
 *
 * @module
 */

export interface SrvRecord {
  readonly priority: number
  readonly weight: number
  readonly port: number
  /** The target's name without a trailing dot. */
  readonly target: string
}

/** Records and how long they hold. No such name, or none of this kind: no records. */
export interface DnsAnswer<Record> {
  readonly records: readonly Record[]
  readonly ttlSeconds: number
}

export interface Dns {
  /** SRV records of a name. Throws when no server answers. */
  srv(name: string): Promise<DnsAnswer<SrvRecord>>
  /** All IPv4 and IPv6 addresses of a name. Throws when no server answers. */
  addresses(name: string): Promise<DnsAnswer<string>>
}
