/**
 * Randomness. Cryptographically secure in a server, seeded in the simulation.
 *
 * @module
 */

export interface Random {
  /** `count` random bytes. */
  bytes(count: number): Uint8Array
  /** A number from 0 to 1, 1 excluded: for jitter and choices, never for secrets. */
  fraction(): number
}
