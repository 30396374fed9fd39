/**
 * Tells of each test that ended, a line of JSON for each: for the process that judges it.
 *
 * @module
 */

import type { TestEvent } from 'node:test/reporters'

/** How a test ended; of one that failed also why. */
export interface EndedTest {
  readonly name: string
  readonly passed: boolean
  /** A test that failed because one within it did. */
  readonly isOuter: boolean
  readonly isAssertion: boolean
  readonly message: string
}

export default async function* lines(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const { type, data } of source) {
    if (type === 'test:pass' && data.skip === undefined) yield lineOf(data.name, undefined)
    if (type === 'test:fail') yield lineOf(data.name, data.details.error)
  }
}

function lineOf(name: string, error: Error | undefined): string {
  const chain = error === undefined ? [] : [...causesOf(error)]
  const ended: EndedTest = {
    name,
    passed: error === undefined,
    isOuter: chain.some((one) => memberOf(one, 'failureType') === 'subtestsFailed'),
    isAssertion: chain.some((one) => memberOf(one, 'code') === 'ERR_ASSERTION'),
    message: `${memberOf(chain.at(-1), 'name')}: ${memberOf(chain.at(-1), 'message')}`,
  }
  return `${JSON.stringify(ended)}\n`
}

/** An error, its cause, the cause of that, and so on. */
function* causesOf(error: unknown): Generator<unknown> {
  for (let one: unknown = error; one !== undefined; one = memberOf(one, 'cause')) yield one
}

function memberOf(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined
}
