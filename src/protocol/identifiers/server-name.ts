/**
 * Server names: `example.org`, `example.org:8448`, `1.2.3.4`, `[::1]:8448`.
 *
 * The grammar is wider than the names that can be reached: a port of 99999 and a host of `a..b` are
 * names, which nobody answers to. Who connects checks what it needs.
 *
 * https://spec.matrix.org/v1.19/appendices/#server-name
 *
 * @module
 */

import type { ServerName } from './ids.ts'

/** A server name taken apart. */
export interface ServerAddress {
  /** What the host is written as: a DNS name, or an address literal. */
  readonly kind: 'dns' | 'ipv4' | 'ipv6'
  /** The host; of an IPv6 literal without its brackets. */
  readonly host: string
  /** The port, if the name has one. Not checked against the range of ports. */
  readonly port: number | undefined
}

/** The server name that `text` is, if it is one. */
export function parseServerName(text: string): ServerName | undefined {
  return splitServerName(text) === undefined ? undefined : (text as ServerName)
}

/** The parts of a server name, or `undefined` if `text` is none. */
export function splitServerName(text: string): ServerAddress | undefined {
  // The longest name: 255 characters, a colon, five digits.
  if (text.length > 261) return undefined
  const hostEnd = text.startsWith('[') ? text.indexOf(']') + 1 : text.indexOf(':')
  const host = hostEnd > 0 ? text.slice(0, hostEnd) : hostEnd === 0 ? '' : text
  const rest = text.slice(host.length)
  if (rest !== '' && !isPort(rest)) return undefined
  const port = rest === '' ? undefined : Number(rest.slice(1))

  if (host.startsWith('[')) {
    const address = host.slice(1, -1)
    return isIpv6(address) ? { kind: 'ipv6', host: address, port } : undefined
  }
  const numbers = ipv4Numbers(host)
  // IPv4 literals must be a sequence of four decimal numbers in the range 0 to 255.
  if (numbers !== undefined) {
    return numbers.every((number) => number <= 255) ? { kind: 'ipv4', host, port } : undefined
  }
  return isDnsName(host) ? { kind: 'dns', host, port } : undefined
}

/** Whether a server name is an IPv4 or IPv6 literal, with or without a port. */
export function isIpLiteral(serverName: ServerName): boolean {
  const address = splitServerName(serverName)
  return address !== undefined && address.kind !== 'dns'
}

/** `port = 1*5DIGIT`, after its colon. */
function isPort(text: string): boolean {
  return text.length >= 2 && text.length <= 6 && text[0] === ':' && isDigits(text.slice(1))
}

/**
 * `dns-name = 1*255dns-char`. They should consist of a series of labels: of the names that do not, only
 * those without any letter or digit are refused, so that no name is `..`.
 */
function isDnsName(text: string): boolean {
  if (text.length > 255) return false
  let isNamed = false
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (isDigit(code) || isLetter(code)) isNamed = true
    else if (code !== 0x2d && code !== 0x2e) return false
  }
  return isNamed
}

/** The four numbers of an IPv4 address as the grammar has it, whatever their range. */
function ipv4Numbers(text: string): number[] | undefined {
  // Most names begin with a letter, and need not be taken apart.
  if (!isDigit(text.charCodeAt(0))) return undefined
  const parts = text.split('.', 5)
  if (parts.length !== 4) return undefined
  for (const part of parts) {
    if (part.length === 0 || part.length > 3 || !isDigits(part)) return undefined
  }
  return parts.map(Number)
}

/**
 * The forms of RFC 3513, section 2.2: eight groups of one to four hexadecimal digits; one run of
 * groups of zeros written as `::`; the last two groups written as an IPv4 address.
 */
function isIpv6(text: string): boolean {
  if (text.length < 2 || text.length > 45) return false
  const halves = text.split('::')
  if (halves.length > 2) return false
  let groups = 0
  for (const [index, half] of halves.entries()) {
    if (half === '') continue
    const parts = half.split(':')
    for (const [at, part] of parts.entries()) {
      const isLast = index === halves.length - 1 && at === parts.length - 1
      const size = isIpv6Group(part) ? 1 : isLast && isIpv4(part) ? 2 : 0
      if (size === 0) return false
      groups += size
    }
  }
  if (halves.length === 1) return groups === 8
  return groups <= 7
}

function isIpv6Group(text: string): boolean {
  if (text.length === 0 || text.length > 4) return false
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at) | 0x20
    if (!isDigit(text.charCodeAt(at)) && !(code >= 0x61 && code <= 0x66)) return false
  }
  return true
}

/** An IPv4 address within an IPv6 one, where nothing allows zeros before a number: some read it as octal. */
function isIpv4(text: string): boolean {
  const numbers = ipv4Numbers(text)
  return numbers?.every((number) => number <= 255) === true && numbers.join('.') === text
}

function isDigits(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (!isDigit(text.charCodeAt(at))) return false
  return true
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39
}

function isLetter(code: number): boolean {
  const lower = code | 0x20
  return lower >= 0x61 && lower <= 0x7a
}
