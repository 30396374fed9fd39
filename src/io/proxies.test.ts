import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isNetwork, Proxies } from './proxies.ts'

const onThisMachine = ['127.0.0.0/8', '::1']
const inFront = ['10.0.0.0/8', '2001:db8:1::/48', '192.0.2.7']

// Who is believed to be a proxy, whom we are connected with, what it says, and who asks then.
for (const [networks, peer, forwarded, client] of [
  [onThisMachine, '127.0.0.1', '', '127.0.0.1'],
  [onThisMachine, '127.0.0.1', '198.51.100.1', '198.51.100.1'],
  [onThisMachine, '127.9.9.9', '198.51.100.1', '198.51.100.1'],
  [onThisMachine, '::1', '2001:db8::1', '2001:db8::1'],
  [onThisMachine, '::ffff:127.0.0.1', '::ffff:198.51.100.1', '198.51.100.1'],
  [onThisMachine, '::FFFF:127.0.0.1', '198.51.100.1', '198.51.100.1'],
  // Who is no proxy may say what they like.
  [onThisMachine, '198.51.100.1', '127.0.0.1', '198.51.100.1'],
  [onThisMachine, '10.0.0.1', '198.51.100.1', '10.0.0.1'],
  [onThisMachine, '2001:db8::1', '198.51.100.1', '2001:db8::1'],
  [[], '127.0.0.1', '198.51.100.1', '127.0.0.1'],
  // What a client wrote itself stands before what the proxy added.
  [onThisMachine, '127.0.0.1', '203.0.113.5, 198.51.100.1', '198.51.100.1'],
  [onThisMachine, '127.0.0.1', '127.0.0.1, 198.51.100.1', '198.51.100.1'],
  [onThisMachine, '127.0.0.1', 'x, 198.51.100.1', '198.51.100.1'],
  // A proxy behind another.
  [inFront, '10.1.1.1', '198.51.100.1, 10.2.2.2', '198.51.100.1'],
  [inFront, '10.1.1.1', '203.0.113.5, 198.51.100.1, 192.0.2.7, 10.2.2.2', '198.51.100.1'],
  [inFront, '2001:db8:1::5', '198.51.100.1', '198.51.100.1'],
  [inFront, '2001:db8:2::5', '198.51.100.1', '2001:db8:2::5'],
  [inFront, '192.0.2.8', '198.51.100.1', '192.0.2.8'],
  [inFront, '127.0.0.1', '198.51.100.1', '127.0.0.1'],
  [inFront, '10.1.1.1', '10.3.3.3, 10.2.2.2', '10.3.3.3'],
  // What is no address is nobody's.
  [onThisMachine, '127.0.0.1', '198.51.100.1, evil', '127.0.0.1'],
  [onThisMachine, '127.0.0.1', '198.51.100.1, 198.51.100.2:80', '127.0.0.1'],
  [onThisMachine, '127.0.0.1', ',', '127.0.0.1'],
  [inFront, '10.1.1.1', '198.51.100.1, unknown, 10.2.2.2', '10.2.2.2'],
] as const) {
  test(`${peer} that says '${forwarded}' is ${client}, of proxies in ${networks}`, () => {
    assert.equal(new Proxies(networks).clientOf(peer, forwarded), client)
  })
}

for (const [text, expected] of [
  ['127.0.0.1', true],
  ['127.0.0.0/8', true],
  ['0.0.0.0/0', true],
  ['::1', true],
  ['fd00::/8', true],
  ['10.0.0.0/33', false],
  ['::/129', false],
  ['10.0.0.0/', false],
  ['10.0.0.0/8/8', false],
  ['10.0.0.0/-1', false],
  ['10.0.0', false],
  ['localhost', false],
  ['', false],
] as const) {
  test(`'${text}' is ${expected ? 'a' : 'no'} network`, () => {
    assert.equal(isNetwork(text), expected)
  })
}
