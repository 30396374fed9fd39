/**
 * Opens the connections of the HTTP client: looks the name up, keeps to the addresses that may be
 * dialled, and checks that the certificate is that of the name which the caller expects, whatever
 * name or address it was told to dial.
 *
 * @module
 */

import { connect, isIP, type LookupFunction, type Socket } from 'node:net'
import {
  type ConnectionOptions,
  checkServerIdentity,
  connect as connectTls,
  createSecureContext,
  getCACertificates,
  type SecureContext,
} from 'node:tls'
import { isPublicAddress } from './address-guard.ts'
import type { Dns } from './dns.ts'
import { HttpFailure } from './http.ts'

export interface Endpoint {
  readonly protocol: 'http:' | 'https:'
  readonly hostname: string
  readonly port: number
  readonly tlsName: string
}

export interface ConnectorOptions {
  readonly dns: Dns
  readonly allowPrivateIps: boolean
  readonly secureContext: SecureContext
  readonly verifyTls: boolean
  readonly connectTimeoutMs: number
}

/** Trusts these authorities, PEM texts, beside Node's own (with `NODE_EXTRA_CA_CERTS`) and the system's. */
export function trusting(ca: readonly string[]): SecureContext {
  const known = [...getCACertificates('default'), ...getCACertificates('system')]
  return createSecureContext({ ca: [...new Set(known), ...ca], minVersion: 'TLSv1.2' })
}

type Callback = (...outcome: [null, Socket] | [Error, null]) => void

/** A function that opens connections to one endpoint, as undici's pools want it. */
export function connectorTo(
  endpoint: Endpoint,
  options: ConnectorOptions,
): (_: unknown, callback: Callback) => void {
  // The last session ticket: a further connection then needs no whole handshake.
  let session: Buffer | undefined
  return (_, callback) => {
    if (isIP(endpoint.hostname) !== 0 && !mayDial(endpoint.hostname, options)) {
      callback(blocked(endpoint.hostname), null)
      return
    }
    const socket = openSocket(endpoint, options)
    if (endpoint.protocol === 'http:') {
      awaitConnection(socket, { event: 'connect', options, callback })
      return
    }
    const secure = connectTls({
      ...tlsOptions(endpoint, options),
      socket,
      ...(session && { session }),
    })
    secure.on('session', (ticket) => {
      session = ticket
    })
    awaitConnection(secure, { event: 'secureConnect', options, callback, carrier: socket })
  }
}

function openSocket({ hostname, port }: Endpoint, options: ConnectorOptions): Socket {
  return connect({
    host: hostname,
    port,
    lookup: guardedLookup(options),
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: 250,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: 60_000,
  })
}

function tlsOptions({ tlsName }: Endpoint, options: ConnectorOptions): ConnectionOptions {
  return {
    secureContext: options.secureContext,
    rejectUnauthorized: options.verifyTls,
    ALPNProtocols: ['http/1.1'],
    // A SNI should be sent for the certificate which is expected, unless that certificate is expected
    // to be an IP address in which case SNI is not supported and should not be sent.
    ...(isIP(tlsName) === 0 && { servername: tlsName }),
    checkServerIdentity: (_, certificate) => checkServerIdentity(tlsName, certificate),
  }
}

/** Calls back once, with the connection or with why there is none. */
function awaitConnection(
  socket: Socket,
  waiting: {
    readonly event: 'connect' | 'secureConnect'
    readonly options: ConnectorOptions
    readonly callback: Callback
    /** The connection below TLS: its own failures are not TLS's. */
    readonly carrier?: Socket
  },
): void {
  const { carrier, options, callback } = waiting
  let isConnected = carrier === undefined
  const fail = (failure: HttpFailure) => {
    settle()
    socket.destroy()
    carrier?.destroy()
    callback(failure, null)
  }
  const onCarrierConnect = () => {
    isConnected = true
  }
  const onError = (cause: Error) => {
    const isTls = carrier !== undefined && isConnected
    fail(cause instanceof HttpFailure ? cause : failureOf(cause, isTls ? 'tls' : 'connect'))
  }
  const onConnected = () => {
    settle()
    callback(null, socket)
  }
  const timer = setTimeout(
    () => fail(new HttpFailure('connect', `no connection in ${options.connectTimeoutMs} ms`)),
    options.connectTimeoutMs,
  )
  const settle = () => {
    clearTimeout(timer)
    socket.off('error', onError)
    socket.off(waiting.event, onConnected)
    carrier?.off('error', onError)
    // What fails once nobody waits for it must not end the process.
    carrier?.on('error', ignore)
    socket.on('error', ignore)
  }
  carrier?.once('connect', onCarrierConnect)
  carrier?.on('error', onError)
  socket.on('error', onError)
  socket.once(waiting.event, onConnected)
}

function ignore(): void {}

function failureOf(cause: Error, kind: 'connect' | 'tls'): HttpFailure {
  return new HttpFailure(
    kind,
    `${kind === 'tls' ? 'TLS' : 'connecting'} failed: ${cause.message}`,
    {
      cause,
    },
  )
}

function blocked(address: string): HttpFailure {
  return new HttpFailure('blocked-address', `${address} is not an address of the public internet`)
}

function mayDial(address: string, options: ConnectorOptions): boolean {
  return options.allowPrivateIps || isPublicAddress(address)
}

/** Looks a name up for a connection, and gives only addresses that may be dialled. */
function guardedLookup(options: ConnectorOptions): LookupFunction {
  return (hostname, lookupOptions, callback) => {
    lookUp(hostname, options).then(
      (addresses) => {
        const all = addresses.map((address) => ({ address, family: isIP(address) }))
        const [first] = all
        if (lookupOptions.all) callback(null, all)
        else callback(null, first?.address ?? '', first?.family ?? 0)
      },
      (error: Error) => callback(error, '', 0),
    )
  }
}

async function lookUp(hostname: string, options: ConnectorOptions): Promise<string[]> {
  const { records } = await askDns(hostname, options.dns)
  if (records.length === 0) throw new HttpFailure('dns', `${hostname} has no address`)
  const allowed = records.filter((address) => mayDial(address, options))
  if (allowed.length === 0) throw blocked(`${hostname} (${records.join(', ')})`)
  return allowed
}

async function askDns(hostname: string, dns: Dns): Promise<{ records: readonly string[] }> {
  try {
    return await dns.addresses(hostname)
  } catch (cause) {
    throw new HttpFailure('dns', `looking ${hostname} up failed`, { cause })
  }
}
