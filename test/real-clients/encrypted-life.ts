/**
 * What two users of two servers do with encryption, from their first login on.
 *
 * @module
 */

import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import {
  type CryptoDevice,
  CryptoUser,
  type SyncKind,
  verifyEachOther,
  verifyOwnDevice,
} from './crypto-client.ts'

/** Devices of a user's that are none of these. */
async function devicesBeside(own: CryptoDevice, known: readonly CryptoDevice[]): Promise<string[]> {
  const { devices } = await own.client.getDevices()
  const ids = new Set(known.map(({ deviceId }) => deviceId))
  return devices.map(({ device_id }) => device_id).filter((id) => !ids.has(id))
}

/** Lives through it, with a user on each of two servers, of which these are the clients' addresses. */
export async function liveEncrypted(
  t: TestContext,
  {
    first,
    second,
    dehydrates,
    syncs,
  }: {
    readonly first: string
    readonly second: string
    /** Whether the first server keeps dehydrated devices. */
    readonly dehydrates: boolean
    /** By which of the two the devices of the first and of the second user sync. */
    readonly syncs: readonly [SyncKind, SyncKind]
  },
): Promise<void> {
  const devices: CryptoDevice[] = []
  t.after(() => {
    for (const device of devices) device.stop()
  })
  // What comes after a step that failed would only wait in vain.
  const step = async (name: string, work: () => Promise<void>) => {
    let isDone = false
    await t.test(name, async () => {
      await work()
      isDone = true
    })
    assert.ok(isDone, `this went wrong: ${name}`)
  }
  const deviceOf = async (user: CryptoUser) => {
    const device = await user.device()
    devices.push(device)
    return device
  }
  const name = syncs.join('-')
  const [aliceUser, bobUser] = await Promise.all([
    CryptoUser.register(first, { name: `crypto-alice-${name}`, sync: syncs[0] }),
    CryptoUser.register(second, { name: `crypto-bob-${name}`, sync: syncs[1] }),
  ])
  const [alice, bob] = await Promise.all([deviceOf(aliceUser), deviceOf(bobUser)])
  const replaced = (device: CryptoDevice) =>
    step('keys of a user are replaced by who proves who they are', async () => {
      await device.replaceKeys()
      await bob.becomes(
        'Alice is verified no more',
        async () => !(await bob.hasVerified(device.userId)),
      )
      await bob.becomes("Alice's device is signed anew", () => {
        return bob.isSignedByOwner(device.userId, device.deviceId)
      })
      await device.send(roomId, 'It is still me')
      await bob.reads(roomId, 'It is still me')
    })
  await step('both set up cross-signing, secret storage and a backup', async () => {
    await Promise.all([alice.bootstrap(), bob.bootstrap()])
  })
  const roomId = await alice.createEncryptedRoom([bob.userId])
  await step('they write to each other, encrypted, and read it', async () => {
    await bob.until(roomId, (room) => room.getMyMembership() === 'invite')
    await bob.client.joinRoom(roomId)
    await alice.until(roomId, (room) => room.getMember(bob.userId)?.membership === 'join')
    await alice.send(roomId, 'Ahoy')
    await bob.reads(roomId, 'Ahoy')
    await bob.send(roomId, 'Ahoy yourself')
    await alice.reads(roomId, 'Ahoy yourself')
  })
  await step('each sees that the other one vouches for their device', async () => {
    assert.equal(await alice.isSignedByOwner(bob.userId, bob.deviceId), true)
    assert.equal(await bob.isSignedByOwner(alice.userId, alice.deviceId), true)
  })
  await step('they verify each other by comparing emoji', async () => {
    assert.deepEqual(
      [await alice.hasVerified(bob.userId), await bob.hasVerified(alice.userId)],
      [false, false],
    )
    await verifyEachOther(alice, bob, roomId)
    await alice.becomes('Bob is verified', () => alice.hasVerified(bob.userId))
    await bob.becomes('Alice is verified', () => bob.hasVerified(alice.userId))
  })
  await step('a device added later reads what was written before it', async () => {
    await alice.becomes('all keys are backed up', async () => {
      const checked = await alice.crypto.checkKeyBackupAndEnable()
      return (checked?.backupInfo.count ?? 0) >= 2
    })
    const tablet = await deviceOf(aliceUser)
    await tablet.unlock()
    const { total, imported } = await tablet.crypto.restoreKeyBackup()
    assert.ok(imported >= 2 && imported === total, `${imported} of ${total} keys`)
    await tablet.reads(roomId, 'Ahoy')
    await tablet.reads(roomId, 'Ahoy yourself')
    // What its user has verified on another device, it knows.
    await tablet.becomes('Bob is verified', () => tablet.hasVerified(bob.userId))
    await bob.becomes('the tablet is signed', () => {
      return bob.isSignedByOwner(alice.userId, tablet.deviceId)
    })
    await bob.send(roomId, 'Welcome on board')
    await tablet.reads(roomId, 'Welcome on board')
    await alice.reads(roomId, 'Welcome on board')
  })
  await step('a device that another one vouches for is given the secrets', async () => {
    const laptop = await deviceOf(aliceUser)
    await laptop.isKnown()
    await verifyOwnDevice(laptop, alice)
    await bob.becomes('the laptop is signed', () => {
      return bob.isSignedByOwner(alice.userId, laptop.deviceId)
    })
    await laptop.becomes('the key of the backup is there', async () => {
      return (await laptop.crypto.getSessionBackupPrivateKey()) !== null
    })
    await laptop.crypto.restoreKeyBackup()
    await laptop.reads(roomId, 'Ahoy')
  })
  if (!dehydrates) {
    await replaced(alice)
    return
  }
  await step('what comes while no device is logged in is read by the next one', async () => {
    await alice.dehydrate()
    const [dehydrated] = await devicesBeside(alice, devices)
    assert.ok(dehydrated, 'there is a dehydrated device')
    await bob.becomes('the dehydrated device is known', () => {
      return bob.isSignedByOwner(alice.userId, dehydrated)
    })
    for (const device of devices.filter(({ user }) => user === aliceUser)) {
      device.stop()
      await device.client.logout()
    }
    await bob.send(roomId, 'While you were away')
    const phone = await deviceOf(aliceUser)
    await phone.unlock()
    await phone.dehydrate()
    await phone.reads(roomId, 'While you were away')
  })
  const phone = devices.at(-1) ?? assert.fail('there is a phone')
  await replaced(phone)
}
