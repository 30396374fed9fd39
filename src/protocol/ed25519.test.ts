import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Ed25519Library, libsodium, openSsl, signingKeyOf, verifyEd25519 } from './ed25519.ts'

const libraries = libsodium === undefined ? [openSsl] : [openSsl, libsodium]

/** RFC 8032, section 7.1: seed, public key, message, signature. */
const rfc8032 = [
  [
    '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
    'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
    '',
    'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
  ],
  [
    '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
    '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
    '72',
    '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
  ],
  [
    'c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7',
    'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
    'af82',
    '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a',
  ],
] as const

for (const library of libraries) {
  for (const [seed, publicKey, message, signature] of rfc8032) {
    test(`${library.name} signs and verifies as RFC 8032: message ${message || 'empty'}`, () => {
      const key = signingKeyOf(bytesOf(seed), library)
      assert.equal(Buffer.from(key.publicKey).toString('hex'), publicKey)
      assert.equal(Buffer.from(key.sign(bytesOf(message))).toString('hex'), signature)
      assert.equal(check(library, publicKey, message, signature), true)
      assert.equal(check(library, publicKey, `${message}00`, signature), false)
      assert.equal(check(library, publicKey.replace(/^../, '00'), message, signature), false)
    })
  }

  test(`${library.name}: what is no point is no error`, () => {
    const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })
    fc.assert(
      fc.property(bytes(32), bytes(64), (publicKey, signature) => {
        assert.equal(verifyEd25519(publicKey, publicKey, signature, library), false)
      }),
    )
  })

  test(`${library.name}: wrong lengths are no error`, () => {
    const [, publicKey, message, signature] = rfc8032[0]
    assert.equal(check(library, publicKey.slice(2), message, signature), false)
    assert.equal(check(library, `${publicKey}00`, message, signature), false)
    assert.equal(check(library, publicKey, message, signature.slice(2)), false)
    assert.equal(check(library, publicKey, message, `${signature}00`), false)
    assert.equal(check(library, '', message, ''), false)
  })
}

const key = '0aa6b3d599c73ad139cb235a5ab0c5db0d0ef0c83851da35878f02c3bf53ce94'
const mixed = '68951ed8bd3b812f0d85424612f9dd9794159401996807d5a9a58db2cf83f87d'
const r = '9c22396ea3207edf02538fa5884a4c5de8b77103e9b5940d447603637cd0c33c'
const message = Buffer.from('message').toString('hex')

/**
 * Signatures that no honest signer makes, computed from the curve's equation. All but those marked
 * fulfil S·B = R + k·A without the cofactor; the verdicts are libsodium's (PyNaCl 1.5).
 */
const unusual = [
  [
    'honest',
    true,
    key,
    message,
    `${r}df1e2c3421866b74e6d5c12aa9e66f4705c1c5e4617fa82734383496b949000f`,
  ],
  [
    'S + L (not below the order)',
    false,
    key,
    message,
    `${r}ccf221913be97dccbc72b9cd87e04e5c05c1c5e4617fa82734383496b949001f`,
  ],
  [
    'A of mixed order, holds without the cofactor',
    true,
    mixed,
    '7833',
    `${r}fef438eeb0721082b43c134b7d907b53cc614e78419bcab075673db482e46e04`,
  ],
  [
    'A of mixed order, holds with the cofactor only (marked)',
    false,
    mixed,
    '7830',
    `${r}09207c3b5f18be98f43a79d0a50f6e231ce9abca2cfc175df47367b7fb54bd00`,
  ],
  [
    'R is the neutral element',
    false,
    key,
    message,
    '0100000000000000000000000000000000000000000000000000000000000000737608b2d0072a5761a1bac79d41e56454c1a95099fd7c7af05389496c450907',
  ],
  [
    'R of order 2',
    false,
    mixed,
    '6e30',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f228ec7d7019ade8d7fa9991d73c4be1677316011b31b09c44f7c773409096701',
  ],
  ...(
    [
      [
        '0100000000000000000000000000000000000000000000000000000000000000',
        '6d30',
        '7767a3242dc9b58bbc68488c1265cc6cc5f26c6f3c88a5d55e901b0734dca572d20a1feb8ca954ab000000000000000000000000000000000000000000000000',
      ],
      [
        '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
        '6d3236',
        '179b156c4cdf567fccd3f58ec9695599c0e90d5c4b5dad4225cb84af0accf19fd30a1feb8ca954ab000000000000000000000000000000000000000000000000',
      ],
      [
        '0000000000000000000000000000000000000000000000000000000000000000',
        '6d30',
        'b8c41c36beee30278e91e93360f866d334f3cd06fb9becfd03029bdfc483ed89d40a1feb8ca954ab000000000000000000000000000000000000000000000000',
      ],
      [
        'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
        '6d39',
        '9b6d35cfd96558439d1c40eb13b453c647f85cc41d434b332efcb92928f30ff0d50a1feb8ca954ab000000000000000000000000000000000000000000000000',
      ],
      [
        'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
        '6d33',
        'f93ae85113024a397ff118946095e9ff2dc24afc261cf001de0ae3e99cae42d9d60a1feb8ca954ab000000000000000000000000000000000000000000000000',
      ],
      [
        'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa',
        '6d31',
        '72e31fb8b7d072eea0cf519dea65ec49e9576ae15d2489328157a9cf9b71197bd70a1feb8ca954ab000000000000000000000000000000000000000000000000',
      ],
      [
        '0000000000000000000000000000000000000000000000000000000000000080',
        '6d30',
        'bf758b040acf75078447c2e117537ab8f6bae75b09410287b8605314eb7c9256d80a1feb8ca954ab000000000000000000000000000000000000000000000000',
      ],
      [
        '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85',
        '6d30',
        'f7ba83fae853d3117163a9fdb3b6fbeb1f5f4659de7a7c04093213f927e328cfd90a1feb8ca954ab000000000000000000000000000000000000000000000000',
      ],
      [
        'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
        '7a30',
        '08c707576cfe9cd04feb8243879aaa99667dbfd2e81c881b75a2b319cd3fc0eed12f010000000000000000000000000000000000000000000000000000000000',
      ],
      [
        'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
        '7a31',
        'aae15a6ba57e36e343161c28685876f4b6fc036c9f022440ea825dd8d9812187d12f010000000000000000000000000000000000000000000000000000000000',
      ],
      [
        '0100000000000000000000000000000000000000000000000000000000000080',
        '7a30',
        '08c707576cfe9cd04feb8243879aaa99667dbfd2e81c881b75a2b319cd3fc0eed12f010000000000000000000000000000000000000000000000000000000000',
      ],
    ] as const
  ).map(([a, m, s]) => ['A of small order', false, a, m, s] as const),
] as const

for (const [name, verdict, publicKey, message, signature] of unusual) {
  for (const library of libraries) {
    test(`${library.name}: ${name} ${publicKey.slice(0, 4)}… is ${verdict ? 'accepted' : 'refused'}`, () => {
      assert.equal(check(library, publicKey, message, signature), verdict)
    })
  }
}

test('points of small order are refused also where the library would accept them', () => {
  const credulous: Ed25519Library = { ...openSsl, verify: () => true }
  const refused = unusual.filter(([, , a, m, s]) => !check(credulous, a, m, s))
  assert.deepEqual(
    [...new Set(refused.map(([name]) => name))],
    ['R is the neutral element', 'R of order 2', 'A of small order'],
  )
  assert.equal(refused.length, 13)
})

function check(library: Ed25519Library, publicKey: string, message: string, signature: string) {
  return verifyEd25519(bytesOf(publicKey), bytesOf(message), bytesOf(signature), library)
}

function bytesOf(hex: string): Uint8Array {
  return Buffer.from(hex, 'hex')
}
