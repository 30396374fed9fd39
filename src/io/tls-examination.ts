/**
 * What a server shows of itself in a TLS handshake: for explaining why it is trusted or not.
 *
 * @module
 */

export interface ShownCertificate {
  /** Its subject and issuer, as `CN=…, O=…`. */
  readonly subject: string
  readonly issuer: string
  /** The host names and addresses it is for. */
  readonly names: readonly string[]
  readonly validFromMs: number
  readonly validToMs: number
  /** SHA-256, in hexadecimal with colons. */
  readonly fingerprint: string
}

export interface TlsExamination {
  /** The address that was dialled. */
  readonly address: string
  /** Such as `TLSv1.3`. */
  readonly protocol: string
  /** The server's certificate first, then whoever signed the one before, as far as it is known. */
  readonly chain: readonly ShownCertificate[]
  /** Why the chain leads to nobody we trust, as OpenSSL names it; `undefined` if it does. */
  readonly distrusted: string | undefined
  /** Why the certificate is not for the name that was expected; `undefined` if it is. */
  readonly wrongName: string | undefined
  /** Whether the authority at the end of the chain is one of those named in the configuration. */
  readonly isOwnAuthority: boolean
}

/** Shakes hands and hangs up. Throws `HttpFailure` if there is no handshake to be had. */
export type ExamineTls = (endpoint: {
  readonly hostname: string
  readonly port: number
  readonly tlsName: string
}) => Promise<TlsExamination>
