/**
 * A browser in which users sit, each in a profile of their own.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type Browser,
  type BrowserContext,
  chromium,
  type Locator,
  type Page,
} from 'playwright-core'

interface Drawn {
  readonly size: readonly number[]
  readonly colour: readonly number[]
}

const executablePath = process.env.HANSA_TEST_CHROMIUM ?? '/usr/bin/chromium'
const limitMs = 20_000

/** Why there can be no browser; `false` if there can. */
export const lacksBrowser = existsSync(executablePath)
  ? false
  : `there is no ${executablePath}: install chromium, or name one in HANSA_TEST_CHROMIUM`

// Where all gates are to pass, one that is skipped has not.
assert.ok(!(lacksBrowser && process.env.CI), String(lacksBrowser))

/** Where pictures of the pages go. */
const pictures = process.env.HANSA_TEST_PICTURES ?? mkdtempSync(join(tmpdir(), 'hansa-pictures-'))

export async function launched(): Promise<Browser> {
  // Its own sandbox needs what containers do not have; it shows nothing but our own pages.
  return await chromium.launch({ executablePath, args: ['--no-sandbox'] })
}

/** Somebody with a browser window. */
export class Person {
  readonly userId: string
  readonly password: string
  readonly page: Page
  /** What the page said that it should not have. */
  readonly complaints: string[] = []
  readonly #context: BrowserContext
  readonly #expected: readonly RegExp[]

  private constructor(
    context: BrowserContext,
    page: Page,
    {
      userId,
      password,
      expected,
    }: { userId: string; password: string; expected: readonly RegExp[] },
  ) {
    this.#context = context
    this.page = page
    this.userId = userId
    this.password = password
    this.#expected = expected
  }

  /** Opens a page in a new profile. Answers that are errors are complaints, but for those expected. */
  static async at(
    browser: Browser,
    url: string,
    who: { userId: string; password: string; expected: readonly RegExp[] },
  ): Promise<Person> {
    // The authority of the test is not the browser's.
    const context = await browser.newContext({
      ignoreHTTPSErrors: true,
      viewport: { width: 1000, height: 640 },
    })
    context.setDefaultTimeout(limitMs)
    const person = new Person(context, await context.newPage(), who)
    person.#listen()
    await person.page.goto(url)
    return person
  }

  #listen(): void {
    this.page.on('pageerror', (error) => this.complaints.push(String(error)))
    this.page.on('requestfailed', (request) => {
      const why = request.failure()?.errorText
      // A page that is left, or a client that stops, ends the requests that it waits for.
      if (why !== 'net::ERR_ABORTED') {
        this.complaints.push(`${request.method()} ${request.url()}: ${why}`)
      }
    })
    this.#context.on('response', (response) => {
      const { pathname } = new URL(response.url())
      const line = `${response.status()} ${response.request().method()} ${pathname}`
      if (response.status() >= 400 && !this.#expected.some((one) => one.test(line))) {
        this.complaints.push(line)
      }
    })
    this.page.on('console', (message) => {
      const text = message.text()
      // What the browser itself refuses, as by CORS, is told here alone.
      if (/CORS|Mixed Content|Refused to|blocked/.test(text)) this.complaints.push(text)
    })
  }

  find(selector: string, hasText?: string | RegExp): Locator {
    return this.page.locator(selector, hasText === undefined ? {} : { hasText })
  }

  async signIn(): Promise<void> {
    await this.page.fill('[name=user]', this.userId)
    await this.page.fill('[name=password]', this.password)
    await this.page.click('#sign-in button')
    await this.sees('#own-name', this.userId)
  }

  /** Waits until something is there. */
  async sees(selector: string, hasText?: string | RegExp): Promise<void> {
    try {
      await this.find(selector, hasText).first().waitFor()
    } catch (cause) {
      const problem = await this.page.textContent('#problem')
      const why = [problem, ...this.complaints].join('; ')
      throw new Error(`${this.userId} waits in vain for ${selector} ${hasText}: ${why}`, { cause })
    }
  }

  /** Waits until an image is drawn, at least so wide, and tells of it. */
  async image(selector: string, widthMin = 1): Promise<Drawn> {
    return await this.#look<Drawn>('drawn', selector, widthMin)
  }

  /** A picture with a colour in each half. */
  async flag(width: number, height: number, colours: readonly string[]): Promise<Buffer> {
    return Buffer.from(await this.#look<number[]>('flag', width, height, colours))
  }

  async #look<T>(what: string, ...parameters: readonly unknown[]): Promise<T> {
    const list = parameters.map((one) => JSON.stringify(one)).join()
    return await this.page.evaluate<T>(`import('/looking.ts').then((it) => it.${what}(${list}))`)
  }

  /** Keeps a picture of the page. */
  async picture(name: string): Promise<void> {
    mkdirSync(pictures, { recursive: true })
    await this.page.screenshot({ path: join(pictures, `${name}.png`) })
  }

  async end(): Promise<void> {
    await this.#context.close()
    assert.deepEqual(this.complaints, [], `what ${this.userId}'s browser complained of`)
  }
}
