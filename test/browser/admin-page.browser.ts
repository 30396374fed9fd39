/**
 * An administrator at a browser: logs in, looks at a room and at one of its events, and logs out.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Browser } from 'playwright-core'
import { twoHansas } from '../real-clients/two-hansas.ts'
import { Client } from '../rig/client.ts'
import { lacksBrowser, launched } from './browser.ts'

const skip = lacksBrowser
const servers = skip ? [] : twoHansas()
let browser: Browser | undefined

before(async () => {
  if (!skip) browser = await launched()
})
after(async () => {
  await browser?.close()
})

test('an administrator looks at a room, and why an event is what it is', { skip }, async () => {
  const [server] = servers
  assert.ok(server && browser)
  const [username, password] = ['root', 'secret of root']
  const account = { username, password, admin: true }
  const root = await Client.registerWithSecret(server.baseUrl, account)
  const room = await root.createRoom({ name: '<b>The Hall</b>', preset: 'public_chat' })
  const state = await root.call('GET', `/v3/rooms/${encodeURIComponent(room)}/state`)
  const page = await browser.newPage()
  page.setDefaultTimeout(20_000)
  const complaints: string[] = []
  page.on('pageerror', (error) => complaints.push(String(error)))
  page.on('console', (message) => complaints.push(message.text()))
  await page.goto(`${server.baseUrl}/_hansa/admin`)
  await page.fill('[name=user]', username)
  await page.fill('[name=secret]', 'a guess')
  await page.click('form button')
  await page.locator('#complaint', { hasText: 'password is not right' }).waitFor()
  // The browser itself notes what was refused.
  complaints.length = 0

  await page.fill('[name=secret]', password)
  await page.click('form button')
  await page.locator('main h1', { hasText: 'Rooms' }).waitFor()
  assert.equal(await page.isVisible('form'), false)
  await page.click('main td a')
  await page.locator('main h1', { hasText: '<b>The Hall</b>' }).waitFor()
  assert.equal(await page.locator('svg .dot').count(), state.length)
  await page.click('.card a.number')
  await page.locator('.outcome', { hasText: 'It is accepted.' }).waitFor()
  await page.click('nav a:has-text("Server")')
  await page.locator('h2', { hasText: 'Events that wait for their place' }).waitFor()

  await page.click('#leave')
  await page.locator('form').waitFor()
  await page.reload()
  await page.locator('form').waitFor()
  assert.equal(await page.isVisible('main'), false)
  assert.deepEqual(complaints, [])
})
