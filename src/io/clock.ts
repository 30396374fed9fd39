/**
 * Time. Nothing outside `io/` reads a clock or sets a timer by itself: a `Clock` is passed in, so
 * that the simulation can let a year pass in a second, the same way each time.
 *
 * @module
 */

/** Something that was started with `after` and can be called off. */
export interface Timer {
  cancel(): void
}

export interface Clock {
  /** Milliseconds since the Unix epoch, for timestamps that others see. May jump. */
  now(): number
  /** Milliseconds since some fixed moment, for measuring and waiting. Never goes back. */
  monotonicMs(): number
  /** Calls `act` once after `delayMs`. Does not keep the process alive. */
  after(delayMs: number, act: () => void): Timer
  /** Resolves after `delayMs`; rejects with the signal's reason if aborted first. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>
  /** Lets everything else that is due run, then resolves: between slices of long work. */
  yield(): Promise<void>
}
