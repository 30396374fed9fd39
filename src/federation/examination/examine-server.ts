/**
 * Examines another server as our federation sees it, step by step, each step as a sentence: how its
 * name leads to an address, what certificate is there, who answers, with which keys, what time it is
 * there, and whether it takes what we sign.
 *
 * It goes the way that every request of ours goes: the same discovery, the same client, the same
 * signature. Only the certificate is looked at by a connection of its own, because one that cannot be
 * trusted ends all others before anything can be said of it.
 *
 * @module
 */

import { isAddress, isPublicAddress } from '#io/address-guard.ts'
import type { Clock } from '#io/clock.ts'
import type { Dns } from '#io/dns.ts'
import { HttpFailure, type IncomingAnswer } from '#io/http.ts'
import type { ExamineTls } from '#io/tls-examination.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import { readJson } from '#protocol/json-reader.ts'
import type { Signer } from '#rooms/remote-servers.ts'
import { askServer, type WayOut } from '../ask-server.ts'
import type { Target } from '../discovery.ts'
import type { DiscoveryStep } from '../discovery-steps.ts'
import { authorizationOf } from '../request-signing.ts'
import { clockFinding, signedRequestFinding, versionFinding } from './answer-findings.ts'
import { certificateFindings } from './certificate-findings.ts'
import { discoveryFinding } from './discovery-findings.ts'
import { bad, type Finding, good, note } from './finding.ts'
import { keyFindings, type SeenKey } from './key-findings.ts'

export interface ExaminationNeeds extends WayOut {
  readonly clock: Clock
  readonly dns: Dns
  readonly examineTls: ExamineTls
  /** Who we are, if something is to be signed. */
  readonly signer: Signer | undefined
  /** `federation.allow_private_ips`. */
  readonly allowPrivateIps: boolean
  /** The keys that we know a server by. */
  seenKeys(server: ServerName): Promise<readonly SeenKey[]>
}

const timeoutMs = 20_000
const answerBytesMax = 64 * 1024

/** Findings come as they are made; the last one is made when nothing more can be asked. */
export async function* examineServer(
  needs: ExaminationNeeds,
  server: ServerName,
): AsyncGenerator<Finding, void> {
  const discovered = await discover(needs, server)
  yield* discovered.findings
  let reachable = 0
  for (const target of discovered.targets) {
    const { findings, isReachable } = await examineTarget(needs, target)
    yield* findings
    if (isReachable) reachable += 1
  }
  if (reachable === 0) {
    if (discovered.targets.length > 0) yield note('version', 'So it cannot be asked anything.')
    return
  }
  yield* await examineAnswers(needs, server)
}

async function discover(
  { discovery }: ExaminationNeeds,
  server: ServerName,
): Promise<{ findings: Finding[]; targets: readonly Target[] }> {
  const steps: DiscoveryStep[] = []
  const findings = () => steps.map(discoveryFinding)
  try {
    const targets = await discovery.targets(server, (step) => steps.push(step))
    return { findings: findings(), targets }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    const mend = 'Check the name; if it is right, its DNS records must be mended.'
    return {
      findings: [...findings(), bad('name', `Nothing leads to it: ${why}.`, { mend })],
      targets: [],
    }
  }
}

async function examineTarget(
  needs: ExaminationNeeds,
  target: Target,
): Promise<{ findings: Finding[]; isReachable: boolean }> {
  const { hostname, port, tlsName } = target
  const address = await addressFinding(needs, hostname)
  if (address.verdict === 'bad') return { findings: [address], isReachable: false }
  try {
    const seen = await needs.examineTls({ hostname, port, tlsName })
    const found = `${seen.address || hostname} takes connections at port ${port}.`
    const findings = certificateFindings(seen, { tlsName, now: needs.clock.now() })
    const isReachable = findings.every(({ verdict }) => verdict !== 'bad')
    return { findings: [address, good('address', found), ...findings], isReachable }
  } catch (error) {
    if (!(error instanceof HttpFailure)) throw error
    return { findings: [address, connectionFinding(error, target)], isReachable: false }
  }
}

async function addressFinding(
  { dns, allowPrivateIps }: ExaminationNeeds,
  hostname: string,
): Promise<Finding> {
  const addresses = isAddress(hostname) ? [hostname] : await addressesOf(dns, hostname)
  if (typeof addresses === 'string') {
    const mend = 'Check the resolvers of this machine, and the domain’s name servers.'
    return bad('address', `${hostname} cannot be looked up: ${addresses}.`, { mend })
  }
  if (addresses.length === 0) {
    const mend = 'It needs an A or AAAA record.'
    return bad('address', `${hostname} has no address.`, { mend })
  }
  const listed = addresses.slice(0, 8).join(', ')
  if (addresses.some(isPublicAddress)) return good('address', `${hostname} is at ${listed}.`)
  const found = `${hostname} is at ${listed}, which is not of the public internet.`
  if (allowPrivateIps) return note('address', found)
  return bad('address', found, {
    mend: 'Give it a public address; or, in a network of your own, set federation.allow_private_ips.',
  })
}

async function addressesOf(dns: Dns, hostname: string): Promise<readonly string[] | string> {
  try {
    return (await dns.addresses(hostname)).records
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

function connectionFinding({ kind, message }: HttpFailure, { hostname, port }: Target): Finding {
  if (kind === 'tls') {
    return bad('certificate', `${hostname} speaks no TLS at port ${port}: ${message}.`, {
      mend: 'Federation is HTTPS only: give that port a certificate, or name another port.',
    })
  }
  return bad('address', `Nobody can be connected to at ${hostname}, port ${port}: ${message}.`, {
    mend: 'See that the server runs, listens on that port, and that no firewall drops what comes.',
  })
}

async function examineAnswers(needs: ExaminationNeeds, server: ServerName): Promise<Finding[]> {
  const version = await ask(needs, server, '/_matrix/federation/v1/version')
  if ('failure' in version) return [version.failure]
  const findings = [versionFinding(version.answer), clockFinding(version.answer, version)]
  const keys = await ask(needs, server, '/_matrix/key/v2/server')
  if ('failure' in keys) return [...findings, keys.failure]
  findings.push(...(await keysFound(needs, server, keys.answer)))
  if (needs.signer === undefined || needs.signer.serverName === server) return findings
  return [...findings, await signedRequest(needs, server, needs.signer)]
}

async function keysFound(
  { clock, seenKeys }: ExaminationNeeds,
  server: ServerName,
  { status, body }: IncomingAnswer,
): Promise<Finding[]> {
  const read = readJson(body, 'raw')
  if (status === 200 && read.ok) {
    return keyFindings(read.value, server, { now: clock.now(), seen: await seenKeys(server) })
  }
  const found = `/_matrix/key/v2/server answers with status ${status}${read.ok ? '' : ' and no JSON'}.`
  return [bad('keys', found, { mend: 'Lead /_matrix/key to the homeserver.' })]
}

/** Asks for the profile of a user whom nobody has: the answer shows whether the signature counts. */
async function signedRequest(
  needs: ExaminationNeeds,
  server: ServerName,
  signer: Signer,
): Promise<Finding> {
  const user = encodeURIComponent(`@_hansa_doctor:${server}`)
  const target = `/_matrix/federation/v1/query/profile?user_id=${user}`
  const signed = { method: 'GET', target, destination: server, content: undefined }
  const asked = await ask(needs, server, target, {
    authorization: authorizationOf(signer, signed),
  })
  if ('failure' in asked) return { ...asked.failure, step: 'signed-request' }
  return signedRequestFinding(asked.answer, signer.keyId)
}

interface Asked {
  readonly answer: IncomingAnswer
  readonly askedTs: number
  readonly answeredTs: number
}

async function ask(
  needs: ExaminationNeeds,
  server: ServerName,
  target: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Asked | { readonly failure: Finding }> {
  const askedTs = needs.clock.now()
  try {
    const request = { method: 'GET', target, headers, timeoutMs, answerBytesMax }
    const answer = await askServer(needs, server, request)
    return { answer, askedTs, answeredTs: needs.clock.now() }
  } catch (error) {
    if (!(error instanceof HttpFailure)) throw error
    const path = target.split('?', 1)[0]
    const mend = 'It takes connections, but does not answer: see its log, and its load.'
    return { failure: bad('version', `${path} gives no answer: ${error.message}.`, { mend }) }
  }
}
