/**
 * Hands mail to a mail server by SMTP.
 *
 * @module
 */

import { createTransport } from 'nodemailer'
import { type Mailer, MailFailure } from './mailer.ts'

export interface SmtpOptions {
  readonly host: string
  readonly port: number
  /** `starttls` and `tls` send nothing without it. */
  readonly tls: 'starttls' | 'tls' | 'none'
  /** Whether the certificate is checked. */
  readonly verifyTls: boolean
  readonly user: string | undefined
  readonly password: string | undefined
  /** The sender: an address, or a name with an address in angle brackets. */
  readonly from: string
}

const timeoutMs = 15_000

export function smtpMailer(options: SmtpOptions): Mailer {
  const { host, port, tls, verifyTls, user, password, from } = options
  const transport = createTransport({
    host,
    port,
    secure: tls === 'tls',
    requireTLS: tls === 'starttls',
    ignoreTLS: tls === 'none',
    tls: { rejectUnauthorized: verifyTls },
    ...(user !== undefined && { auth: { user, pass: password ?? '' } }),
    connectionTimeout: timeoutMs,
    greetingTimeout: timeoutMs,
    socketTimeout: timeoutMs,
    disableFileAccess: true,
    disableUrlAccess: true,
  })
  return {
    send: async ({ to, subject, text }) => {
      try {
        await transport.sendMail({ from, to: { name: '', address: to }, subject, text })
      } catch (cause) {
        throw new MailFailure('The mail server did not take a mail.', {
          isRefusal: isRefusal(cause),
          cause,
        })
      }
    },
  }
}

/** Replies from 500 on are permanent; they count if they are about whom the mail is to. */
function isRefusal(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const { responseCode, code } = error as { responseCode?: unknown; code?: unknown }
  return typeof responseCode === 'number' && responseCode >= 500 && code === 'EENVELOPE'
}
