/**
 * `hansa key rotate`: the next signing key of the server.
 *
 * @module
 */

import { join } from 'node:path'
import { prepareNextKey } from '#federation/key-rotation.ts'
import { realFiles } from '#io/real-files.ts'
import { realRandom } from '#io/real-random.ts'
import { readConfig } from './config.ts'

export async function rotateKey(options: { readonly config: string }): Promise<void> {
  const config = await readConfig(options.config)
  const path = join(config.data_dir, 'signing.key')
  if ((await realFiles.readText(path)) === undefined) {
    throw new Error('This server has no key yet: its first start makes one.')
  }
  const io = { files: realFiles, random: realRandom }
  const keyId = await prepareNextKey(config.server_name, path, io)
  console.log(`${keyId} is the next key. The server takes it when it is started again.`)
}
