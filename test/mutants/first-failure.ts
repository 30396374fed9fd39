/**
 * A reporter that ends the process at the first test that fails: whoever asks only whether any does
 * need not wait for the others.
 *
 * @module
 */

import type { TestEvent } from 'node:test/reporters'

export default async function* ended(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const { type } of source) {
    if (type === 'test:fail') process.exit(1)
    yield ''
  }
}
