/**
 * Where a request goes that is not federation: by a name that somebody gave, or by a URL.
 *
 * @module
 */

import type { ServerName } from '#protocol/identifiers/ids.ts'
import type { OutgoingRequest } from './http.ts'

export type Destination = Pick<
  OutgoingRequest,
  'protocol' | 'hostname' | 'port' | 'hostHeader' | 'target'
>

const httpsPort = 443

/** A path at a host with or without a port, over TLS. */
export function destinationOf(name: ServerName, target: string): Destination {
  const { hostname, port } = new URL(`https://${name}`)
  return {
    protocol: 'https:',
    hostname: hostname.replace(/^\[|\]$/g, ''),
    port: port === '' ? httpsPort : Number(port),
    hostHeader: name,
    target,
  }
}

/** An `https` URL with more in its query; `undefined` for what is none, or names a user. */
export function destinationOfUrl(
  text: string,
  query: Readonly<Record<string, string>>,
): Destination | undefined {
  const url = text.length <= 2_000 && URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol !== 'https:' || url.username !== '' || url.password !== '') return undefined
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value)
  return {
    protocol: 'https:',
    hostname: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? httpsPort : Number(url.port),
    hostHeader: url.host,
    target: `${url.pathname}${url.search}`,
  }
}
