/**
 * A process that runs scenarios one after the other, as it is told by the one that forked it
 * (`jobs.ts`), and answers each with what came of it.
 *
 * @module
 */

import { runTask, type Task } from './run-task.ts'

process.on('message', async (task: Task) => {
  process.send?.(await runTask(task))
})
