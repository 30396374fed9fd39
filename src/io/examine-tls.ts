/**
 * Looks at the certificates of a server, trusted or not. Nothing is said over such a connection.
 *
 * @module
 */

import { X509Certificate } from 'node:crypto'
import type { Socket } from 'node:net'
import { checkServerIdentity, type DetailedPeerCertificate, TLSSocket } from 'node:tls'
import type { Dns } from './dns.ts'
import { HttpFailure } from './http.ts'
import { connectorTo, type Endpoint, trusting } from './tls-connector.ts'
import type { ExamineTls, ShownCertificate } from './tls-examination.ts'

/** The longest chain that is followed. */
const chainMax = 10
const namesMax = 100

export function createExamineTls(options: {
  readonly dns: Dns
  /** PEM texts of authorities that are trusted beside the usual ones. */
  readonly ca: readonly string[]
  readonly allowPrivateIps: boolean
  readonly connectTimeoutMs?: number
}): ExamineTls {
  const own = new Set(
    options.ca.flatMap(certificatesIn).map((pem) => new X509Certificate(pem).fingerprint256),
  )
  const connector = {
    connectTimeoutMs: 10_000,
    ...options,
    secureContext: trusting(options.ca),
    // What is not trusted is what we want to see.
    verifyTls: false,
  }
  return async ({ hostname, port, tlsName }) => {
    const endpoint = { protocol: 'https:', hostname, port, tlsName } as const
    const socket = await opened(connectorTo(endpoint, connector))
    try {
      return examine(socket, endpoint, own)
    } finally {
      socket.destroy()
    }
  }
}

/** A file of authorities may hold several. */
function certificatesIn(pem: string): string[] {
  return pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
}

async function opened(connect: ReturnType<typeof connectorTo>): Promise<TLSSocket> {
  const socket = await new Promise<Socket>((resolve, reject) => {
    connect(undefined, (failure, connected) => (failure ? reject(failure) : resolve(connected)))
  })
  if (socket instanceof TLSSocket) return socket
  throw new HttpFailure('tls', 'the connection is not encrypted')
}

function examine(socket: TLSSocket, { tlsName }: Endpoint, own: ReadonlySet<string>) {
  const certificates = chainOf(socket.getPeerCertificate(true))
  const [leaf] = certificates
  // Node's check of the name comes after that of the chain, and only if that one went well.
  const nameProblem = leaf && checkServerIdentity(tlsName, leaf)
  const failure = socket.authorizationError
  const isDistrusted = failure !== null && String(failure) !== 'ERR_TLS_CERT_ALTNAME_INVALID'
  return {
    address: socket.remoteAddress ?? '',
    protocol: socket.getProtocol() ?? 'TLS',
    chain: certificates.map(shown),
    distrusted: isDistrusted && !socket.authorized ? String(failure) : undefined,
    wrongName: nameProblem?.message,
    isOwnAuthority: certificates.some(({ fingerprint256 }) => own.has(fingerprint256)),
  }
}

function chainOf(leaf: DetailedPeerCertificate): DetailedPeerCertificate[] {
  const chain: DetailedPeerCertificate[] = []
  let next: DetailedPeerCertificate | undefined = leaf
  while (next?.raw && chain.length < chainMax && !chain.includes(next)) {
    chain.push(next)
    next = next.issuerCertificate
  }
  return chain
}

function shown(certificate: DetailedPeerCertificate): ShownCertificate {
  return {
    subject: nameText(certificate.subject),
    issuer: nameText(certificate.issuer),
    names: (certificate.subjectaltname ?? '')
      .split(', ')
      .filter((name) => name !== '')
      .map((name) => name.replace(/^(?:DNS|IP Address):/, ''))
      .slice(0, namesMax),
    validFromMs: Date.parse(certificate.valid_from),
    validToMs: Date.parse(certificate.valid_to),
    fingerprint: certificate.fingerprint256,
  }
}

function nameText(name: DetailedPeerCertificate['subject'] | undefined): string {
  return Object.entries(name ?? {})
    .map(([key, value]) => `${key}=${[value].flat().join('+')}`)
    .join(', ')
}
