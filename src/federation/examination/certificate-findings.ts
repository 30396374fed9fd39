/**
 * What can be said of a server's certificate: whose it is, for which names, until when, and who
 * vouches for it.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#tls
 *
 * @module
 */

import type { ShownCertificate, TlsExamination } from '#io/tls-examination.ts'
import type { JsonObject } from '#protocol/json.ts'
import { bad, dateText, durationText, type Finding, good, note } from './finding.ts'

/** How long before its end a certificate ought to be renewed. */
const endsSoonMs = 14 * 86_400_000

export function certificateFindings(
  seen: TlsExamination,
  { tlsName, now }: { readonly tlsName: string; readonly now: number },
): Finding[] {
  const [leaf] = seen.chain
  if (leaf === undefined) {
    return [bad('certificate', 'No certificate was shown.', { mend: 'Give the listener one.' })]
  }
  const detail = detailOf(seen)
  const findings = [nameFinding(leaf, seen.wrongName, tlsName), validityFinding(leaf, now)]
  const trust = trustFinding(seen, leaf)
  return [...findings, { ...trust, detail }]
}

function nameFinding(
  leaf: ShownCertificate,
  wrongName: string | undefined,
  tlsName: string,
): Finding {
  const names = leaf.names.length === 0 ? 'no names' : leaf.names.slice(0, 10).join(', ')
  if (wrongName === undefined) {
    return good('certificate', `The certificate is for ${tlsName} (it names ${names}).`)
  }
  return bad('certificate', `The certificate is for ${names}, and not for ${tlsName}.`, {
    mend: `Get a certificate that names ${tlsName}: other servers ask for that name, whatever host an SRV record leads to.`,
  })
}

function validityFinding({ validFromMs, validToMs }: ShownCertificate, now: number): Finding {
  const span = `valid from ${dateText(validFromMs)} to ${dateText(validToMs)}`
  if (now < validFromMs) {
    return bad('certificate', `The certificate is not valid yet: ${span}.`, {
      mend: 'Check the clock of whoever made it, and ours.',
    })
  }
  if (now > validToMs) {
    const ago = durationText(now - validToMs)
    return bad('certificate', `The certificate expired ${ago} ago: ${span}.`, {
      mend: 'Renew it, and see to it that the server takes the renewed one.',
    })
  }
  const left = durationText(validToMs - now)
  if (validToMs - now < endsSoonMs) {
    return note('certificate', `The certificate ends in ${left}: ${span}.`, {
      mend: 'Renew it soon, and let that happen by itself.',
    })
  }
  return good('certificate', `The certificate is ${span}, ${left} from now.`)
}

function trustFinding(seen: TlsExamination, leaf: ShownCertificate): Finding {
  const end = seen.chain.at(-1) ?? leaf
  const path = `issued by ${leaf.issuer}`
  const { distrusted } = seen
  if (distrusted === undefined) {
    const whose = seen.isOwnAuthority ? 'named in federation.ca_files' : 'known to this machine'
    const found = `It is ${path}; the chain ends at ${end.subject}, an authority ${whose} (${seen.protocol}).`
    return good('certificate', found)
  }
  const known = distrust[distrusted]
  const found = `It is ${path}, which is not trusted: ${known?.what ?? distrusted}.`
  return bad('certificate', found, known && { mend: known.mend })
}

const otherAuthority =
  'Use a certificate of a public authority; or, among servers that know each other, name the authority in federation.ca_files.'

/** OpenSSL's reasons in words. */
const distrust: Readonly<Record<string, { readonly what: string; readonly mend: string }>> = {
  CERT_HAS_EXPIRED: {
    what: 'a certificate of the chain has expired',
    mend: 'Renew the certificate, with its whole chain.',
  },
  CERT_NOT_YET_VALID: {
    what: 'a certificate of the chain is not valid yet',
    mend: 'Check the clocks on both sides.',
  },
  DEPTH_ZERO_SELF_SIGNED_CERT: {
    what: 'it has signed itself',
    mend: otherAuthority,
  },
  INVALID_PURPOSE: {
    what: 'it is not one for servers',
    mend: 'Give the listener a certificate for servers, not that of the authority itself.',
  },
  SELF_SIGNED_CERT_IN_CHAIN: {
    what: 'the chain ends at an authority that this machine does not know',
    mend: otherAuthority,
  },
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: {
    what: 'nobody we know has signed it, and the server shows nobody else’s certificate',
    mend: 'Let the server send the whole chain, intermediate certificates included.',
  },
  UNABLE_TO_GET_ISSUER_CERT: {
    what: 'the chain leads to an authority that this machine does not know',
    mend: otherAuthority,
  },
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: {
    what: 'the chain leads to an authority that this machine does not know',
    mend: `Let the server send the whole chain. ${otherAuthority}`,
  },
}

function detailOf(seen: TlsExamination): JsonObject {
  return {
    address: seen.address,
    protocol: seen.protocol,
    distrusted: seen.distrusted ?? null,
    own_authority: seen.isOwnAuthority,
    chain: seen.chain.map(({ subject, issuer, names, validFromMs, validToMs, fingerprint }) => ({
      subject,
      issuer,
      names: [...names],
      valid_from_ts: validFromMs,
      valid_to_ts: validToMs,
      fingerprint,
    })),
  }
}
