/**
 * `hansa config check`, and how every command reads its configuration.
 *
 * @module
 */

import { ConfigError, loadConfig } from '#config/load.ts'
import type { Config } from '#config/settings.ts'
import { realFiles } from '#io/real-files.ts'
import type { RealNetworkOptions } from '#io/real-network.ts'

/** Reads the configuration at a path, with the environment. Throws `ConfigError`. */
export async function readConfig(path: string): Promise<Config> {
  const text = await realFiles.readText(path)
  if (text === undefined) throw new ConfigError([`there is no file ${path}`])
  return loadConfig(text, process.env)
}

/** Reads the files that a configuration names. Throws `ConfigError` for one that is missing. */
export async function readNamed(key: string, path: string): Promise<string> {
  const text = await realFiles.readText(path)
  if (text === undefined) throw new ConfigError([`${key}: there is no file ${path}`])
  return text
}

/** How the network is to be used, with the texts of the authorities' files. */
export async function networkOptionsOf(config: Config): Promise<RealNetworkOptions> {
  const { federation, outbound_http: outbound } = config
  return {
    ca: await authoritiesOf('federation.ca_files', federation.ca_files),
    allowPrivateIps: federation.allow_private_ips,
    outbound: {
      ca: await authoritiesOf('outbound_http.ca_files', outbound.ca_files),
      verifyTls: outbound.verify_tls,
      allowPrivateIps: outbound.allow_private_ips,
    },
  }
}

async function authoritiesOf(key: string, files: readonly string[]): Promise<string[]> {
  const ca: string[] = []
  for (const file of files) ca.push(await readNamed(key, file))
  return ca
}

export async function checkConfig({ config: path }: { config: string }): Promise<void> {
  const config = await readConfig(path)
  await networkOptionsOf(config)
  for (const { tls } of config.listeners) {
    if (tls === null) continue
    await readNamed('listeners.tls.cert', tls.cert)
    await readNamed('listeners.tls.key', tls.key)
  }
  console.log(`${path} can be used; it is the configuration of ${config.server_name}.`)
}
