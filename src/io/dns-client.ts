/**
 * A stub resolver of our own, because Node's tells no lifetime of SRV records, and because the
 * system's blocks a thread for each name that does not answer, of which federation has thousands.
 *
 * It asks the recursive resolvers the system is configured with, by UDP and, where an answer does
 * not fit, by TCP. It reads the hosts file first, as everybody expects. Each question goes out from
 * a port and with an ID of its own, and an answer counts only if it comes back to them from the
 * server that was asked and repeats the question.
 *
 * @module
 */

import { createSocket } from 'node:dgram'
import { connect, isIP, isIPv6 } from 'node:net'
import dnsPacket, { type Answer, type DecodedPacket, type SrvAnswer } from 'dns-packet'
import type { Dns, DnsAnswer, SrvRecord } from './dns.ts'
import type { Random } from './random.ts'

export interface DnsClientOptions {
  /** Addresses of recursive resolvers, with a port unless it is 53: as `dns.getServers()` gives them. */
  readonly servers: readonly string[]
  readonly random: Random
  /** The addresses that the hosts file gives a name in lower case, if any. */
  readonly hosts?: (name: string) => Promise<readonly string[]>
  /** How long one server is waited for, once. */
  readonly tryMs?: number
  /** How often each server is asked. */
  readonly tries?: number
}

/** No resolver gave an answer we can use. */
export class DnsFailure extends Error {
  override readonly name = 'DnsFailure'
}

export function createDnsClient(options: DnsClientOptions): Dns {
  const ask = (name: string, type: QuestionType) => askServers(options, name, type)
  return {
    async srv(name) {
      const found = await follow(ask, name, 'SRV')
      return { ...found, records: found.records.flatMap(readSrv) }
    },
    async addresses(name) {
      const known = (await options.hosts?.(name.toLowerCase())) ?? []
      if (known.length > 0) return { records: known, ttlSeconds: hostsSeconds }
      const [six, four] = await Promise.all([follow(ask, name, 'AAAA'), follow(ask, name, 'A')])
      const records = [...six.records, ...four.records].flatMap(readAddress)
      return { records, ttlSeconds: lifetimeOfBoth(six, four) }
    },
  }
}

type QuestionType = 'A' | 'AAAA' | 'SRV'
type Ask = (name: string, type: QuestionType) => Promise<DecodedPacket>

/** How long what the hosts file says is kept, in seconds. */
const hostsSeconds = 5
/** How many aliases are followed; resolvers themselves stop at about as many. */
const aliasesMax = 8
/** How many records of one answer are looked at. */
const recordsMax = 64
/** How long "there is none" is kept where the answer does not say it, and at most (RFC 2308). */
const negativeSeconds = 60
const negativeSecondsMax = 3600

/** Records of a kind that a name leads to, through aliases if need be. */
async function follow(ask: Ask, name: string, type: QuestionType): Promise<DnsAnswer<Answer>> {
  let current = name.toLowerCase()
  let ttlSeconds = Number.POSITIVE_INFINITY
  let answer = await ask(current, type)
  for (let aliases = 0; aliases <= aliasesMax; aliases += 1) {
    const own = (answer.answers ?? [])
      .slice(0, recordsMax)
      .filter((record) => record.name.toLowerCase() === current)
    const records = own.filter((record) => record.type === type)
    if (records.length > 0) return { records, ttlSeconds: lifetime(records, ttlSeconds) }
    const alias = own.find((record) => record.type === 'CNAME')
    if (alias === undefined || alias.type !== 'CNAME') {
      return { records: [], ttlSeconds: Math.min(ttlSeconds, negativeLifetime(answer)) }
    }
    current = withoutDot(alias.data).toLowerCase()
    ttlSeconds = lifetime([alias], ttlSeconds)
    // A resolver sends the whole chain with its answer; one that does not is asked again.
    const hasNext = answer.answers?.some((record) => record.name.toLowerCase() === current)
    if (!hasNext) answer = await ask(current, type)
  }
  throw new DnsFailure(`${name} has more than ${aliasesMax} aliases`)
}

function lifetime(records: readonly Answer[], atMost: number): number {
  const lifetimes = records.map((record) => ('ttl' in record ? (record.ttl ?? 0) : 0))
  return Math.min(atMost, ...lifetimes)
}

/** The time for which a resolver says that there is no such record. */
function negativeLifetime(answer: DecodedPacket): number {
  const authority = answer.authorities?.find((record) => record.type === 'SOA')
  if (authority?.type !== 'SOA') return negativeSeconds
  const seconds = Math.min(authority.ttl ?? 0, authority.data.minimum ?? 0)
  return Math.min(seconds, negativeSecondsMax)
}

/** A name with addresses of one kind only is known as long as those are. */
function lifetimeOfBoth(six: DnsAnswer<Answer>, four: DnsAnswer<Answer>): number {
  const found = [six, four].filter((answer) => answer.records.length > 0)
  return Math.min(...(found.length > 0 ? found : [six, four]).map((answer) => answer.ttlSeconds))
}

function readSrv(record: Answer): SrvRecord[] {
  if (record.type !== 'SRV') return []
  const { priority = 0, weight = 0, port, target }: SrvAnswer['data'] = record.data
  return [{ priority, weight, port, target: withoutDot(target) }]
}

function readAddress(record: Answer): string[] {
  if (record.type !== 'A' && record.type !== 'AAAA') return []
  return isIP(record.data) === 0 ? [] : [record.data]
}

function withoutDot(name: string): string {
  return name.endsWith('.') ? name.slice(0, -1) : name
}

/** Asks one server after the other until one answers. */
async function askServers(
  options: DnsClientOptions,
  name: string,
  type: QuestionType,
): Promise<DecodedPacket> {
  const { servers, tryMs = 2500, tries = 2 } = options
  if (!isAskable(name)) throw new DnsFailure(`${name} is no name that can be looked up`)
  const reasons: unknown[] = []
  for (let attempt = 0; attempt < tries; attempt += 1) {
    for (const server of servers) {
      try {
        return await askServer({ server, random: options.random, name, type, tryMs })
      } catch (reason) {
        reasons.push(reason)
      }
    }
  }
  const cause = new AggregateError(reasons)
  throw new DnsFailure(`no resolver answers what ${type} records ${name} has`, { cause })
}

/** Whether a name has labels of 1 to 63 and altogether at most 253 characters. */
function isAskable(name: string): boolean {
  if (name.length === 0 || name.length > 253) return false
  return name.split('.').every((label) => label.length >= 1 && label.length <= 63)
}

interface Question {
  readonly server: string
  readonly random: Random
  readonly name: string
  readonly type: QuestionType
  readonly tryMs: number
}

async function askServer(question: Question): Promise<DecodedPacket> {
  const { name, type } = question
  const [high = 0, low = 0] = question.random.bytes(2)
  const id = high * 256 + low
  const packet = {
    type: 'query' as const,
    id,
    flags: dnsPacket.RECURSION_DESIRED,
    questions: [{ type, name }],
    // EDNS(0): answers of up to 1232 bytes by UDP, which no network on the way takes apart.
    additionals: [
      {
        type: 'OPT' as const,
        name: '.',
        udpPayloadSize: 1232,
        extendedRcode: 0,
        ednsVersion: 0,
        flags: 0,
        flag_do: false,
        options: [],
      },
    ],
  }
  const isAnswer = (answer: DecodedPacket) =>
    answer.type === 'response' &&
    answer.id === id &&
    answer.questions?.length === 1 &&
    answer.questions[0]?.name.toLowerCase() === name.toLowerCase() &&
    answer.questions[0]?.type === type
  const brief = await askByUdp(question, dnsPacket.encode(packet), isAnswer)
  const answer = brief.flag_tc
    ? await askByTcp(question, dnsPacket.streamEncode(packet), isAnswer)
    : brief
  // No such name is an answer too; a server that fails or refuses gives none.
  const code = (answer.flags ?? 0) & 0xf
  if (code === noError || code === noSuchName) return answer
  throw new DnsFailure(`${question.server} answers with the error ${code}`)
}

/** Response codes (RFC 1035, section 4.1.1). */
const noError = 0
const noSuchName = 3

type IsAnswer = (answer: DecodedPacket) => boolean

function askByUdp(question: Question, bytes: Buffer, isAnswer: IsAnswer): Promise<DecodedPacket> {
  const { host, port } = readServer(question.server)
  return new Promise((resolve, reject) => {
    const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4')
    const end = (settle: () => void) => {
      clearTimeout(timer)
      socket.close()
      settle()
    }
    const fail = (error: Error) => end(() => reject(error))
    const timer = setTimeout(
      () => fail(new DnsFailure(`${question.server} does not answer`)),
      question.tryMs,
    )
    socket.once('error', fail)
    socket.on('message', (message) => {
      // Whatever is not the answer may be somebody's guess at it: go on waiting for the real one.
      const answer = decode(message)
      if (answer !== undefined && isAnswer(answer)) end(() => resolve(answer))
    })
    // A connected socket hears only from the server that was asked.
    socket.connect(port, host, () => socket.send(bytes))
  })
}

/** The longest answer by TCP: its length is sent in two bytes. */
const streamBytesMax = 65_537

function askByTcp(question: Question, bytes: Buffer, isAnswer: IsAnswer): Promise<DecodedPacket> {
  const { host, port } = readServer(question.server)
  return new Promise((resolve, reject) => {
    let received: Buffer = Buffer.alloc(0)
    const socket = connect({ host, port })
    const end = (settle: () => void) => {
      clearTimeout(timer)
      socket.destroy()
      settle()
    }
    const fail = (error: Error) => end(() => reject(error))
    const timer = setTimeout(
      () => fail(new DnsFailure(`${question.server} does not answer by TCP`)),
      question.tryMs,
    )
    socket.once('error', fail)
    socket.once('close', () => fail(new DnsFailure(`${question.server} closed the connection`)))
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk])
      const isWhole = received.length >= 2 && received.length >= received.readUInt16BE(0) + 2
      if (!isWhole && received.length < streamBytesMax) return
      const answer = decode(received.subarray(2, received.readUInt16BE(0) + 2))
      if (answer !== undefined && isAnswer(answer)) end(() => resolve(answer))
      else fail(new DnsFailure(`${question.server} sends something else than an answer`))
    })
    socket.write(bytes)
  })
}

function decode(message: Buffer): DecodedPacket | undefined {
  try {
    return dnsPacket.decode(message)
  } catch {
    return undefined
  }
}

/** `1.2.3.4`, `1.2.3.4:53`, `::1`, `[::1]:53`. */
function readServer(server: string): { host: string; port: number } {
  if (isIP(server) !== 0) return { host: server, port: 53 }
  const colon = server.lastIndexOf(':')
  const host = server.slice(0, colon)
  return { host: host.replace(/^\[|\]$/g, ''), port: Number(server.slice(colon + 1)) }
}
