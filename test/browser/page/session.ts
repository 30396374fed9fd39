/**
 * Who is signed in, kept by the browser over reloads: the session in `localStorage`, what was synced and
 * the keys of the device in IndexedDB.
 *
 * @module
 */

import {
  AutoDiscovery,
  ClientEvent,
  createClient,
  IndexedDBStore,
  type MatrixClient,
  SyncState,
} from 'matrix-js-sdk'

const kept = 'session'

interface Session {
  readonly baseUrl: string
  readonly userId: string
  readonly deviceId: string
  readonly accessToken: string
}

/** Finds the server by its name, as the specification has it, and signs in there. */
export async function signIn(user: string, password: string): Promise<MatrixClient> {
  const serverName = user.slice(user.indexOf(':') + 1)
  const found = await AutoDiscovery.findClientConfig(serverName)
  const { state, error, base_url: baseUrl } = found['m.homeserver']
  if (state !== AutoDiscovery.SUCCESS || !baseUrl) throw new Error(`${serverName}: ${error}`)
  const login = await createClient({ baseUrl }).loginRequest({
    type: 'm.login.password',
    identifier: { type: 'm.id.user', user },
    password,
    initial_device_display_name: 'A small client',
  })
  const { user_id: userId, device_id: deviceId, access_token: accessToken } = login
  localStorage.setItem(kept, JSON.stringify({ baseUrl, userId, deviceId, accessToken }))
  return await begin({ baseUrl, userId, deviceId, accessToken })
}

/** The client of who was signed in before the page was loaded, if somebody was. */
export async function resumed(): Promise<MatrixClient | undefined> {
  const text = localStorage.getItem(kept)
  return text === null ? undefined : await begin(JSON.parse(text))
}

async function begin(session: Session): Promise<MatrixClient> {
  const store = new IndexedDBStore({ indexedDB, localStorage, dbName: 'synced' })
  const client = createClient({ ...session, store })
  await store.startup()
  await client.initRustCrypto()
  await serveMedia(session)
  const synced = new Promise<void>((resolve) => {
    client.on(ClientEvent.Sync, (state) => {
      if (state === SyncState.Prepared) resolve()
    })
  })
  await client.startClient({ initialSyncLimit: 30, lazyLoadMembers: true })
  await synced
  return client
}

export async function signOut(client: MatrixClient): Promise<void> {
  await client.logout(true)
  await client.clearStores()
  localStorage.removeItem(kept)
}

/** Lets images be shown by their address: a worker sends the token along, which the page gives it. */
async function serveMedia({ baseUrl, accessToken }: Session): Promise<void> {
  const { serviceWorker } = navigator
  serviceWorker.addEventListener('message', ({ ports }) => {
    ports[0]?.postMessage({ baseUrl, accessToken })
  })
  const controlled = new Promise((resolve) => {
    serviceWorker.addEventListener('controllerchange', resolve, { once: true })
  })
  await serviceWorker.register('media-worker.ts')
  if (serviceWorker.controller === null) await controlled
}
