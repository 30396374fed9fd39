/**
 * JSON that is already bytes: stored PDUs are spliced into answers as they are.
 *
 * @module
 */

/** Stands in a value that is to be serialised for the bytes of one JSON value. */
export class RawJson {
  readonly bytes: Uint8Array

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }
}
