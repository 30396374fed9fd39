/**
 * Sends the user's token along when a page shows media, as Element Web does: an `<img>` cannot.
 */

interface Fetched {
  readonly request: Request
  readonly clientId: string
  respondWith(answer: Promise<Response>): void
}

interface Page {
  postMessage(message: unknown, ports: MessagePort[]): void
}

interface Worker {
  readonly clients: { claim(): Promise<void>; get(id: string): Promise<Page | undefined> }
  skipWaiting(): Promise<void>
  addEventListener(type: 'fetch', listener: (event: Fetched) => void): void
  addEventListener(
    type: 'install' | 'activate',
    listener: (event: { waitUntil(done: Promise<void>): void }) => void,
  ): void
}

const worker = globalThis as unknown as Worker

worker.addEventListener('install', (event) => event.waitUntil(worker.skipWaiting()))
worker.addEventListener('activate', (event) => event.waitUntil(worker.clients.claim()))
worker.addEventListener('fetch', (event) => {
  const { pathname } = new URL(event.request.url)
  const isMedia = /^\/_matrix\/client\/v1\/media\/(download|thumbnail)\//.test(pathname)
  if (isMedia && event.request.method === 'GET') event.respondWith(authorized(event))
})

async function authorized({ request, clientId }: Fetched): Promise<Response> {
  const { baseUrl, accessToken } = await sessionOf(clientId)
  if (!request.url.startsWith(`${baseUrl}/`)) return await fetch(request)
  return await fetch(request.url, { headers: { authorization: `Bearer ${accessToken}` } })
}

async function sessionOf(clientId: string): Promise<{ baseUrl: string; accessToken: string }> {
  const page = await worker.clients.get(clientId)
  return await new Promise((resolve, reject) => {
    const { port1, port2 } = new MessageChannel()
    port1.onmessage = ({ data }) => resolve(data)
    if (page === undefined) reject(new Error('the page is gone'))
    page?.postMessage('session', [port2])
  })
}
