/**
 * Sending mail.
 *
 * @module
 */

export interface Mail {
  /** One address, without a name. */
  readonly to: string
  readonly subject: string
  readonly text: string
}

export interface Mailer {
  /** Resolves once the mail server has taken it over. Throws `MailFailure`. */
  send(mail: Mail): Promise<void>
}

/** A mail was not taken. */
export class MailFailure extends Error {
  override readonly name = 'MailFailure'
  /** Whether the mail server refuses this mail, and would again. */
  readonly isRefusal: boolean

  constructor(message: string, options: { readonly isRefusal: boolean; readonly cause?: unknown }) {
    super(message, { cause: options.cause })
    this.isRefusal = options.isRefusal
  }
}
