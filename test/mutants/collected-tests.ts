/**
 * Stands for `node:test` where the tests of a file are run for one mutant after the other, in one
 * process: what a file declares is collected, and run by whoever asks.
 *
 * @module
 */

type Run = (context: TestContext) => unknown

interface TestContext {
  readonly diagnostic: () => void
  readonly test: (name: string, run: Run) => Promise<void>
}

const collected: Run[] = []

const context: TestContext = {
  diagnostic: () => {},
  test: async (_name, run) => {
    await run(context)
  },
}

export function test(_name: string, run: Run): void {
  collected.push(run)
}

/** Runs what was declared since the last time, until one fails: whether none does. */
export async function allPass(): Promise<boolean> {
  try {
    for (const run of collected) await run(context)
    return true
  } catch {
    return false
  } finally {
    collected.length = 0
  }
}
