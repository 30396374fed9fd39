/**
 * The limits of the protocol, each with its unit and the sentence or the reason it comes from.
 *
 * @module
 */

/**
 * The complete event MUST NOT be larger than 65536 bytes, when formatted with the federation event
 * format, including any signatures, and encoded as Canonical JSON.
 *
 * `unsigned` is not counted: every server writes its own, so an event would be too large for some
 * servers only.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#size-limits
 */
export const eventBytesMax = 65_536

/** The largest event we make ourselves: some servers take one byte less than the spec says. */
export const ownEventBytesMax = 65_535

/**
 * The largest PDU we read, before it is brought to its canonical form: every byte of it written as
 * an escape of six, and as much again for `unsigned` and white space.
 */
export const receivedPduBytesMax = 12 * eventBytesMax

/** User IDs, room IDs, room aliases and event IDs MUST NOT exceed 255 bytes. */
export const idBytesMax = 255

/** `state_key` and `type` MUST NOT exceed 255 bytes. */
export const typeBytesMax = 255
export const stateKeyBytesMax = 255

/** `prev_events` must contain less than or equal to 20 events. */
export const prevEventsMax = 20

/** `auth_events` must contain less than or equal to 10 events. */
export const authEventsMax = 10

/**
 * How deep arrays and objects may be nested in JSON from others. The spec sets no limit; Dendrite has
 * none, ruma stops at 128. What is deeper is dropped, never rejected.
 */
export const nestingMax = 64

/** How many characters a number may have. Python, so Synapse, reads no integer of more digits. */
export const numberLengthMax = 4300

/** The largest integer in canonical JSON, 2^53 - 1. */
export const integerMax = Number.MAX_SAFE_INTEGER

/** The largest `depth` before room version 6, 2^63 - 1. */
export const depthMaxBeforeV6 = 2n ** 63n - 1n
