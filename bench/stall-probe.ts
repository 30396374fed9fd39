/**
 * How long a server answers nobody: a request that costs it nothing, every 10 ms, from a thread that
 * does nothing else. The longest of them is the longest stall of the server's event loop, give or
 * take 10 ms and what the machine's other work delays.
 *
 * @module
 */

import { once } from 'node:events'
import { Agent, get } from 'node:http'
import { parentPort, Worker, workerData } from 'node:worker_threads'

const everyMs = 10
/** Beyond these, more questions would only find what the open ones find. */
const openMax = 100

/** Does something, and gives the longest stall of the server at `baseUrl` meanwhile. */
export async function longestStallMs(baseUrl: string, run: () => Promise<void>): Promise<number> {
  const worker = new Worker(import.meta.filename, { workerData: baseUrl })
  await once(worker, 'message')
  try {
    await run()
  } finally {
    worker.postMessage('end')
  }
  const [longestMs] = await once(worker, 'message')
  await worker.terminate()
  return Number(longestMs)
}

function probe(baseUrl: string, port: NonNullable<typeof parentPort>): void {
  const agent = new Agent({ keepAlive: true })
  const open = new Set<number>()
  let longestMs = 0
  let asked = 0
  const ask = () => {
    if (open.size >= openMax) return
    const start = performance.now()
    open.add(start)
    const done = () => {
      open.delete(start)
      if (asked > 0) longestMs = Math.max(longestMs, performance.now() - start)
      // The first answer, over a connection that is made for it, is no measure.
      if (asked++ === 0) port.postMessage('ready')
    }
    const request = get(`${baseUrl}/_matrix/client/versions`, { agent }, (answer) => {
      answer.resume().once('end', done)
    })
    request.once('error', done)
  }
  const timer = setInterval(ask, everyMs)
  port.once('message', () => {
    clearInterval(timer)
    const now = performance.now()
    for (const start of open) longestMs = Math.max(longestMs, now - start)
    port.postMessage(longestMs)
  })
}

if (parentPort !== null) probe(String(workerData), parentPort)
