/**
 * An answer that is not JSON, or not with status 200: a page, a picture, a redirect.
 *
 * @module
 */

import type { OutgoingAnswer } from '#io/http.ts'

export class ByteAnswer {
  readonly answer: OutgoingAnswer

  constructor(answer: OutgoingAnswer) {
    this.answer = answer
  }
}
