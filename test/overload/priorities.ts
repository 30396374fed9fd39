/**
 * Gives a server and its honest users the processors before all other programs.
 *
 * They are scheduled round robin, where nobody is let in before somebody of the same priority pauses or
 * has computed for a tenth of a second. Ordinary schedulers let a thread that mostly waits go before one
 * that computes. So what computes here, and is waited for by nobody who waits long, comes after the rest of
 * the server: V8's helpers, which clean up the heap, those who check signatures, and child processes.
 *
 * @module
 */

import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const priorities = { computes: 1, server: 2, honest: 3 }
const computes = /V8Worker|pdu-checker/

/** What starts the server, as words before its command. */
export const launcher: readonly string[] = ['chrt', '--rr', String(priorities.server)]

/** Threads and processes that come after the rest of the server already. */
const afterwards = new Set<string>()

/**
 * Lets a process go before the server, with its helpers: whoever marks a heap asks again and again whether
 * these are done, so that two who do would keep both processors from helpers that come after them.
 */
export function goFirst(pid: number): void {
  execFileSync('chrt', ['--all-tasks', '--rr', '--pid', String(priorities.honest), String(pid)])
}

/** Lets those threads of a server that compute, and its children, go after the others. */
export function letComputeAfterwards(server: number | undefined): void {
  if (server === undefined) return
  const tasks = join('/proc', String(server), 'task')
  for (const tid of unlessGone(() => readdirSync(tasks)) ?? []) {
    if (computes.test(text(join(tasks, tid, 'comm')))) lower(tid, [])
    for (const pid of text(join(tasks, tid, 'children')).split(' ')) lower(pid, ['--all-tasks'])
  }
}

function lower(id: string, which: readonly string[]): void {
  if (id === '' || afterwards.has(id)) return
  afterwards.add(id)
  const priority = String(priorities.computes)
  unlessGone(() => execFileSync('chrt', [...which, '--rr', '--pid', priority, id]))
}

function text(file: string): string {
  return unlessGone(() => readFileSync(file, 'utf8')) ?? ''
}

/** Nothing of a thread or process that has ended meanwhile. */
function unlessGone<T>(act: () => T): T | undefined {
  try {
    return act()
  } catch {
    return undefined
  }
}
