import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runInJobs } from './simulation/jobs.ts'
import { runTask, type Task } from './simulation/run-task.ts'

test('scenarios in several processes come to the same, in their order, and one that dies fails alone', async () => {
  const small: Task = { scenario: { seed: 7, keeps: ['server alpha'] }, twice: true }
  // What is no list ends the process that is to read it.
  const deadly: Task = { scenario: { seed: 8, keeps: 8 as never }, twice: false }
  const tasks = [small, deadly, ...Array.from({ length: 3 }, () => small)]
  const done = await Array.fromAsync(runInJobs(tasks, 2))
  assert.deepEqual(
    done.map(({ task }) => task),
    tasks,
  )
  const [first, died, ...others] = done.map(({ outcome }) => outcome)
  assert.deepEqual(died?.problems, ['the process ended: 1'])
  const expected = await runTask(small)
  assert.deepEqual(expected.met, ['server alpha'])
  for (const outcome of [first, ...others]) assert.deepEqual(outcome, expected)
})
