/**
 * Two people at a browser each, with accounts on two Hansas, talk in an encrypted room: discovery, CORS
 * with its preflights, long polls, media for those who are logged in, all as a browser does them.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Browser } from 'playwright-core'
import { twoHansas } from '../real-clients/two-hansas.ts'
import { Client } from '../rig/client.ts'
import { lacksBrowser, launched, Person } from './browser.ts'
import { PageServer } from './page-server.ts'

const skip = lacksBrowser
const servers = skip ? [] : twoHansas()
let browser: Browser | undefined
let pages: PageServer | undefined

before(async () => {
  if (!skip) [browser, pages] = await Promise.all([launched(), PageServer.start()])
})
after(async () => {
  await browser?.close()
  pages?.end()
})

/** What clients ask for to see whether it is there. */
const expected = [
  /^404 GET \/_matrix\/client\/v3\/room_keys\/version$/,
  /^404 GET \/_matrix\/client\/v3\/voip\/turnServer$/,
  /^404 GET \/_matrix\/client\/unstable\/org\.matrix\.msc4143\/rtc\/transports$/,
  /^404 GET \/_matrix\/client\/unstable\/org\.matrix\.msc3814\.v1\/dehydrated_device$/,
  /^404 GET \/_matrix\/client\/v3\/user\/[^/]+\/account_data\//,
]

async function person(at: number, name: string): Promise<Person> {
  const server = servers[at]
  assert.ok(server && browser && pages)
  const user = await Client.register(server.baseUrl, name)
  const { userId } = user
  await user.call('PUT', `/v3/profile/${encodeURIComponent(userId)}/displayname`, {
    displayname: name.replace(/^./, (letter) => letter.toUpperCase()),
  })
  return await Person.at(browser, pages.url, { userId, password: `secret of ${name}`, expected })
}

const colours = ['#c02030', '#2040c0']
const left = [0xc0, 0x20, 0x30, 0xff]

test('two people talk in an encrypted room, each in a browser', { skip }, async (t) => {
  const [alice, bob] = await Promise.all([person(0, 'alice'), person(1, 'bob')])
  const step = async (name: string, work: () => Promise<void>) => {
    let isDone = false
    await t.test(name, async () => {
      try {
        await work()
      } catch (error) {
        await Promise.all([alice.picture('failed-alice'), bob.picture('failed-bob')])
        const said = [alice, bob].flatMap((who) => who.complaints)
        throw new Error(said.join('\n'), { cause: error })
      }
      isDone = true
    })
    assert.ok(isDone, `this went wrong: ${name}`)
  }
  await step('they sign in, by the names of their servers', async () => {
    await alice.picture('sign-in')
    await Promise.all([alice.signIn(), bob.signIn()])
  })
  await step('one makes a room, the other is invited and accepts', async () => {
    await alice.page.fill('[name=name]', 'The harbour')
    await alice.page.fill('[name=invite]', bob.userId)
    await alice.page.click('#new-room button')
    await alice.sees('#room-name', 'The harbour')
    await bob.find('#rooms li', 'The harbour').click()
    await bob.sees('#invite-from', alice.userId)
    await bob.picture('invite')
    await bob.page.click('#accept')
    await bob.sees('#room-members', 'Alice, Bob')
    await alice.sees('#room-members', 'Alice, Bob')
  })
  await step('they write to each other, encrypted, and see who types', async () => {
    await say(alice, 'Ahoy')
    await bob.sees('#timeline .theirs', 'encryptedAhoy')
    await bob.page.fill('[name=body]', 'Ahoy')
    await alice.sees('#typing', 'Bob is typing')
    await say(bob, 'Ahoy yourself')
    await alice.sees('#timeline .theirs', 'encryptedAhoy yourself')
    await alice.find('#typing', /^$/).waitFor({ state: 'attached' })
  })
  await step('an image is sent, and seen small and whole', async () => {
    const buffer = await alice.flag(1280, 800, colours)
    const file = { name: 'flag.png', mimeType: 'image/png', buffer }
    await alice.page.setInputFiles('#new-image', file)
    const image = '#timeline .theirs img'
    assert.deepEqual(await bob.image(image), { size: [320, 200], colour: left })
    await bob.picture('thumbnail')
    await bob.page.click(image)
    assert.deepEqual(await bob.image(image, 1280), { size: [1280, 800], colour: left })
  })
  await step('the picture of the room is seen, as the servers make it smaller', async () => {
    const buffer = await bob.flag(400, 300, colours)
    const file = { name: 'room.png', mimeType: 'image/png', buffer }
    await alice.page.setInputFiles('#new-picture', file)
    for (const who of [alice, bob]) {
      const { size, colour } = await who.image('#room-picture')
      assert.deepEqual(size, [96, 96])
      assert.ok(
        colour.every((value, at) => Math.abs(value - (left[at] ?? 0)) < 8),
        String(colour),
      )
    }
  })
  await step('after the page is loaded again all is still there, and goes on', async () => {
    await Promise.all([alice.page.reload(), bob.page.reload()])
    for (const who of [alice, bob]) {
      await who.sees('#timeline li', 'encryptedAhoy yourself')
      await who.image('#timeline img')
      await who.image('#room-picture')
    }
    await say(bob, 'Still here')
    await alice.sees('#timeline .theirs', 'encryptedStill here')
    await say(alice, 'So am I')
    await bob.sees('#timeline .theirs', 'encryptedSo am I')
    await Promise.all([alice.picture('alice'), bob.picture('bob')])
    for (const who of [alice, bob]) assert.equal(await who.find('.broken').count(), 0)
  })
  await step('who signs out is out', async () => {
    await alice.page.click('#sign-out')
    await alice.sees('#sign-in')
    await Promise.all([alice.end(), bob.end()])
  })
})

async function say(who: Person, text: string): Promise<void> {
  await who.page.fill('[name=body]', text)
  await who.page.press('[name=body]', 'Enter')
}
