/**
 * `hansa config check`, and how every command reads its configuration.
 *
 * @module
 */

import { ConfigError, loadConfig } from '#config/load.ts'
import type { Config } from '#config/settings.ts'
import { realFiles } from '#io/real-files.ts'

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

/** The authorities that are trusted beside the usual ones: PEM texts. */
export async function authoritiesOf(config: Config): Promise<string[]> {
  const ca: string[] = []
  for (const file of config.federation.ca_files) {
    ca.push(await readNamed('federation.ca_files', file))
  }
  return ca
}

export async function checkConfig({ config: path }: { config: string }): Promise<void> {
  const config = await readConfig(path)
  await authoritiesOf(config)
  for (const { tls } of config.listeners) {
    if (tls === null) continue
    await readNamed('listeners.tls.cert', tls.cert)
    await readNamed('listeners.tls.key', tls.key)
  }
  console.log(`${path} can be used; it is the configuration of ${config.server_name}.`)
}
