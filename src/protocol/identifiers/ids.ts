/**
 * The types of identifiers. They exclude each other, and literals in tests need no cast. Only the
 * parsers beside this file make them from a `string`; each gives `undefined` for what is not one.
 *
 * https://spec.matrix.org/v1.19/appendices/#identifier-grammar
 *
 * @module
 */

declare const serverNameBrand: unique symbol

/** A server name: `example.org`, `example.org:8448`, `1.2.3.4`, `[::1]:8448`. */
export type ServerName = string & { readonly [serverNameBrand]: true }
export type UserId = `@${string}:${string}`
/** `!opaque:server` before room version 12, `!hash` since. */
export type RoomId = `!${string}`
export type RoomAlias = `#${string}:${string}`
/** `$opaque:server` in room versions 1 and 2, `$hash` since. */
export type EventId = `$${string}`
/** `ed25519:version`. */
export type KeyId = `${string}:${string}`
