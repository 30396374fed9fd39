/**
 * What parts of the server take from the configuration, in their words.
 *
 * @module
 */

import { join } from 'node:path/posix'
import type { Config } from '#config/settings.ts'
import type { DirectoryRules } from '#directory/public-rooms.ts'
import type { SmtpOptions } from '#io/smtp-mailer.ts'
import type { PolicyServerNeeds } from '#policy/policy-server.ts'
import type { Audiences } from '#users/acquaintances.ts'
import type { Support, Turn } from './server.ts'

/** Who may make an account. */
export function registrationRules({ registration }: Config) {
  const { shared_secret: sharedSecret, verification, ...rules } = registration
  return { ...rules, email: verification === 'email', sharedSecret: sharedSecret ?? undefined }
}

export function mediaLimits({ media, data_dir: folder, url_previews: urlPreviews }: Config) {
  return {
    folder: join(folder, 'media'),
    uploadBytesMax: media.max_upload_bytes,
    remoteBytesMax: media.remote_cache_bytes,
    fetchLimit:
      media.fetch_bytes_per_second === null
        ? undefined
        : { perSecond: media.fetch_bytes_per_second, burst: media.fetch_burst_bytes },
    withoutLogin: media.without_login,
    urlPreviews,
  }
}

export function directoryRules({ room_directory: rules }: Config): DirectoryRules {
  return {
    overFederation: rules.over_federation,
    withoutAuth: rules.without_auth,
    publication: rules.publication,
  }
}

export function audiencesOf({ federation }: Config): Audiences {
  return { profiles: federation.profiles_for, keys: federation.keys_for }
}

export function policyRules(settings: Config['policy_server']): PolicyServerNeeds['rules'] {
  return {
    deniedServers: settings.denied_servers,
    deniedUsers: settings.denied_users,
    deniedEventTypes: settings.denied_event_types,
    deniedMessageTypes: settings.denied_message_types,
    deniedWords: settings.denied_words,
    eventBytesMax: settings.max_event_bytes,
    mentionsMax: settings.max_mentions,
    clockSkewMaxMs: settings.max_clock_skew_ms,
    eventsPerMinuteOfUser: settings.events_per_minute_of_user,
    eventsPerMinuteOfServer: settings.events_per_minute_of_server,
    exemptPowerLevel: settings.exempt_power_level,
  }
}

export function supportOf({ support }: Config): Support {
  return {
    contacts: support.contacts.map(({ role, matrix_id, email_address }) => ({
      role,
      ...(matrix_id !== null && { matrix_id }),
      ...(email_address !== null && { email_address }),
    })),
    page: support.page ?? undefined,
  }
}

export function turnOf({ turn }: Config): Turn | undefined {
  const { uris, shared_secret: sharedSecret, ttl_ms: ttlMs } = turn
  if (uris.length === 0 || sharedSecret === null) return undefined
  return { uris, sharedSecret, ttlSeconds: Math.floor(ttlMs / 1000) }
}

/** How mail is sent; `undefined` if it cannot be. */
export function smtpOptions({ email, outbound_http }: Config): SmtpOptions | undefined {
  const { smtp_host: host, smtp_port: port, smtp_tls: tls, from } = email
  if (host === null || from === null) return undefined
  const user = email.smtp_user ?? undefined
  const password = email.smtp_password ?? undefined
  return { host, port, tls, verifyTls: outbound_http.verify_tls, user, password, from }
}
