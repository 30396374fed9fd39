import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isPublicAddress } from './address-guard.ts'

const publicAddresses = [
  '1.1.1.1',
  '9.9.9.9',
  '100.63.255.255',
  '172.32.0.1',
  '223.255.255.255',
  '2606:4700:4700::1111',
  '2a00:1450::1',
  '64:ff9b::101:101',
]

const others = [
  ['0.0.0.0', '0.1.2.3', 'this network'],
  ['127.0.0.1', '127.255.255.254', '::1', 'loopback'],
  ['10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1', 'private'],
  ['100.64.0.1', '100.127.255.255', 'carrier-grade NAT'],
  ['169.254.169.254', 'fe80::1', 'link-local'],
  [
    '192.0.0.1',
    '192.0.2.1',
    '198.51.100.1',
    '203.0.113.1',
    '2001:db8::1',
    '3fff::1',
    'documentation',
  ],
  ['198.18.0.1', '2001:2::1', 'benchmarking'],
  ['224.0.0.1', '239.1.1.1', 'ff02::1', 'multicast'],
  ['240.0.0.1', '255.255.255.255', 'reserved'],
  ['192.88.99.1', '2002:7f00:1::', '2002:101:101::', '6to4'],
  ['2001::1', 'Teredo'],
  ['::', '::7f00:1', '::ffff:127.0.0.1', '::ffff:1.1.1.1', 'mapped and compatible'],
  ['64:ff9b::7f00:1', '64:ff9b::a9fe:a9fe', '64:ff9b:1::101:101', 'NAT64'],
  ['fc00::1', 'fd12:3456::1', 'unique local'],
  ['fec0::1', 'site-local'],
  ['4000::1', '100::1', 'not given out'],
  ['localhost', '0x7f.1', '127.1', '2130706433', '1.1.1.1:80', '[::1]', '', 'no address'],
]

test('addresses of the public internet', () => {
  assert.deepEqual(publicAddresses.filter(isPublicAddress), publicAddresses)
})

for (const addresses of others) {
  const name = addresses.at(-1)
  test(`not of the public internet: ${name}`, () => {
    assert.deepEqual(addresses.slice(0, -1).filter(isPublicAddress), [])
  })
}
