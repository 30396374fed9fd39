/**
 * Watches that no queue waits for another that may wait for it, in every test with whole servers or rooms:
 * whoever imports this. What is found fails the test file, whatever else it tests.
 *
 * @module
 */

import { watchWaits } from '../src/io/wait-order.ts'

const another = ['another server']

export const waitOrder = watchWaits({
  onProblem: (problem) => {
    queueMicrotask(() => {
      throw new Error(problem)
    })
  },
  // Else one server that is slow stops a room, or all rooms that are to be read.
  never: { 'queue of a room': another, 'loading of a room': another },
})
