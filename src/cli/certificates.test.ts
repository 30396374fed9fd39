import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeAuthority } from '#io/certificates.ts'
import { listen } from '#io/http-server.ts'
import { silentLog } from '#io/log.ts'
import { VirtualTime } from '#io/simulated/simulated-clock.ts'
import { simulatedFiles } from '#io/simulated/simulated-files.ts'
import { certificateNameAt } from '../../test/certificate-name.ts'
import { followCertificates } from './certificates.ts'

const minuteMs = 60_000
const paths = { cert: 'tls.crt', key: 'tls.key' }

test('a renewed certificate is used without a restart, once its key is there too', async (t) => {
  const [first, second] = [await makeAuthority('first', 0), await makeAuthority('second', 0)]
  const handler = async () => ({ status: 200, headers: {}, body: new Uint8Array() })
  const server = await listen({ host: '127.0.0.1', port: 0, tls: first }, handler)
  t.after(() => server.close(0))
  const time = new VirtualTime()
  const files = simulatedFiles()
  const said: string[] = []
  const say = (text: string) => said.push(text)
  const log = { ...silentLog, info: say, warn: say }
  const around = { files, clock: time.clock(), log }
  followCertificates(around, { paths, listening: server, inUse: first })

  const nameAfterAMinute = async () => {
    await time.run(minuteMs)
    return await certificateNameAt(server.port)
  }
  // Both files are away.
  assert.equal(await nameAfterAMinute(), 'first')
  await files.writeText('tls.crt', first.cert)
  await files.writeText('tls.key', first.key)
  assert.equal(await nameAfterAMinute(), 'first')
  assert.deepEqual(said, [])
  await files.writeText('tls.crt', second.cert)
  assert.equal(await nameAfterAMinute(), 'first')
  assert.equal(await nameAfterAMinute(), 'first')
  assert.deepEqual(said, ['a certificate cannot be used; the one before stays'])
  await files.writeText('tls.key', second.key)
  assert.equal(await nameAfterAMinute(), 'second')
  await files.writeText('tls.crt', 'junk')
  assert.equal(await nameAfterAMinute(), 'second')
  assert.deepEqual(said.slice(1), [
    'a certificate is renewed',
    'a certificate cannot be used; the one before stays',
  ])
})
