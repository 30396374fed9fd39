import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Argon2idRequest, realArgon2id } from '#io/argon2id.ts'
import { seededRandom } from '#io/simulated/simulated-random.ts'
import { createPasswords } from './passwords.ts'

const cheap = { argon2id: realArgon2id, random: seededRandom(1), passes: 1 }

// A PHC string that other programs make of `password` and the salt `somesalt`.
const foreign =
  '$argon2id$v=19$m=65536,t=2,p=4$c29tZXNhbHQ$GpZ3sK/oH9p7VIiV56G/64Zo/8GaUw434IimaPqxwCo'

test('a hash is that of its password only, and different each time', async () => {
  const passwords = createPasswords(cheap)
  const [one, two] = [await passwords.hash('secret'), await passwords.hash('secret')]
  assert.match(one, /^\$argon2id\$v=19\$m=19456,t=1,p=1\$/)
  assert.notEqual(one, two)
  assert.equal(await passwords.verify(one, 'secret'), true)
  assert.equal(await passwords.verify(one, 'Secret'), false)
  assert.equal(await passwords.verify(one, ''), false)
})

test('hashes of other programs are good here', async () => {
  const passwords = createPasswords(cheap)
  assert.equal(await passwords.verify(foreign, 'password'), true)
  assert.equal(await passwords.verify(foreign, 'passwort'), false)
})

test('a password may be typed in composed or decomposed letters', async () => {
  const passwords = createPasswords(cheap)
  const hash = await passwords.hash('\u00fcber')
  assert.equal(await passwords.verify(hash, 'u\u0308ber'), true)
})

test('who does not exist costs as much as who does', async () => {
  const asked: Omit<Argon2idRequest, 'password' | 'salt'>[] = []
  const passwords = createPasswords({
    ...cheap,
    argon2id: async ({ password: _, salt: __, ...cost }) => {
      asked.push(cost)
      return new Uint8Array(cost.hashBytes)
    },
  })
  await passwords.verify(await passwords.hash('secret'), 'secret')
  await passwords.verify(undefined, 'secret')
  await passwords.verify('no hash at all', 'secret')
  assert.equal(asked.length, 4)
  for (const cost of asked) assert.deepEqual(cost, asked[0])
})

test('only so many wait', async () => {
  const { promise, resolve } = Promise.withResolvers<Uint8Array>()
  const passwords = createPasswords({ ...cheap, argon2id: () => promise })
  const waiting = Array.from({ length: 100 }, () => passwords.verify(undefined, 'x'))
  await assert.rejects(passwords.verify(undefined, 'x'), { errcode: 'M_LIMIT_EXCEEDED' })
  resolve(new Uint8Array(32))
  assert.deepEqual(new Set(await Promise.all(waiting)), new Set([false]))
  assert.equal(await passwords.verify(undefined, 'x'), false)
})
