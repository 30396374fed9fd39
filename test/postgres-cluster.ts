/**
 * A private PostgreSQL for one run of tests: a cluster in a temporary folder, listening only on a
 * socket in it, made by the first test that asks and shared by all test files of the run. A process
 * of its own (this file, run as a program) watches over it and ends it when the run has ended,
 * however it did.
 *
 * It is as durable as a server's database must be, or `openPostgres` would refuse it.
 *
 * @module
 */

import { execFileSync, spawn } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  existsSync,
  globSync,
  mkdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const startMsMax = 60_000

/** Where the binaries are, newest version first in Debian's layout, or those of the path. */
export function postgresBinaries(): string | undefined {
  const debian = globSync('/usr/lib/postgresql/*/bin').sort().at(-1)
  if (debian !== undefined) return debian
  const folders = (process.env.PATH ?? '').split(':')
  return folders.find((folder) => existsSync(join(folder, 'initdb')))
}

/** The URL of the run's cluster, which is started if need be. */
export async function postgresUrl(): Promise<string> {
  // The processes of test files have the runner as their parent, and that is the run.
  const run = process.env.NODE_TEST_CONTEXT === undefined ? process.pid : process.ppid
  const folder = join(tmpdir(), `hansa-postgres-${run}-${startOf(run)}`)
  if (madeFolder(folder)) {
    const args = [import.meta.filename, folder, String(run)]
    spawn(process.execPath, args, { detached: true, stdio: 'ignore' }).unref()
  }
  const outcome = join(folder, 'outcome')
  for (let waitedMs = 0; !existsSync(outcome); waitedMs += 20) {
    if (waitedMs > startMsMax) throw new Error('PostgreSQL did not start in time.')
    await sleep(20)
  }
  const failure = readFileSync(outcome, 'utf8')
  if (failure !== '') throw new Error(`PostgreSQL did not start: ${failure}`)
  return urlOfCluster(folder)
}

/** When a process started, so that a folder that was left behind by its number's last owner is no bother. */
function startOf(pid: number): string {
  const path = `/proc/${pid}/stat`
  // The name of the program, in brackets, may hold spaces; the start is the 20th field after it.
  return existsSync(path)
    ? (readFileSync(path, 'utf8').split(') ').at(-1)?.split(' ')[19] ?? '')
    : ''
}

function madeFolder(folder: string): boolean {
  try {
    mkdirSync(folder)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

/** The user PostgreSQL runs as, since it does not run as root. */
function unprivileged(): { uid?: number; gid?: number } {
  if (process.getuid?.() !== 0) return {}
  const idOf = (flag: string, user: string) =>
    Number(execFileSync('id', [flag, user], { encoding: 'utf8', stdio: 'pipe' }))
  try {
    return { uid: idOf('-u', 'postgres'), gid: idOf('-g', 'postgres') }
  } catch {
    return { uid: idOf('-u', 'nobody'), gid: idOf('-g', 'nobody') }
  }
}

async function watch(folder: string, run: number): Promise<void> {
  const tell = (failure: string) => {
    writeFileSync(join(folder, 'outcome.part'), failure)
    execFileSync('mv', [join(folder, 'outcome.part'), join(folder, 'outcome')])
  }
  try {
    initCluster(folder)
    const { ended, kill } = await startCluster(folder)
    tell('')
    while (isAlive(run)) await sleep(500)
    kill('SIGQUIT')
    await ended
  } catch (error) {
    tell(String(error))
    while (isAlive(run)) await sleep(500)
  }
  rmSync(folder, { recursive: true, force: true })
}

/** Makes an empty cluster in a folder. */
export function initCluster(folder: string): void {
  const user = unprivileged()
  if (user.uid !== undefined && user.gid !== undefined) chownSync(folder, user.uid, user.gid)
  chmodSync(folder, 0o700)
  const how = ['--no-sync', '--auth=trust', '--username=hansa', '--encoding=UTF8', '--locale=C']
  execFileSync(join(postgresBinaries() ?? '', 'initdb'), [...how, '-D', join(folder, 'data')], {
    ...user,
    cwd: folder,
    stdio: 'pipe',
  })
}

export interface RunningCluster {
  readonly pid: number
  readonly ended: Promise<unknown>
  kill(signal: NodeJS.Signals): void
}

/** Starts the cluster in a folder; it listens on a socket there. Throws if it does not start. */
export async function startCluster(folder: string): Promise<RunningCluster> {
  const dataFolder = join(folder, 'data')
  const settings = {
    listen_addresses: '',
    unix_socket_directories: folder,
    max_connections: 200,
    shared_buffers: '32MB',
  }
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const program = join(postgresBinaries() ?? '', 'postgres')
  const server = spawn(program, ['-D', dataFolder, ...flags], {
    ...unprivileged(),
    cwd: folder,
    stdio: 'ignore',
  })
  const ended = new Promise((resolve) => server.once('exit', resolve))
  while (!isReady(dataFolder, server.pid)) {
    if (server.exitCode !== null) throw new Error(`postgres ended with ${server.exitCode}`)
    await sleep(20)
  }
  return { pid: server.pid ?? 0, ended, kill: (signal) => server.kill(signal) }
}

export function urlOfCluster(folder: string): string {
  return `postgresql:///postgres?user=hansa&host=${folder}`
}

/** The server writes its status into the file that bears its process ID. */
function isReady(dataFolder: string, pid: number | undefined): boolean {
  const path = join(dataFolder, 'postmaster.pid')
  if (!existsSync(path)) return false
  const status = readFileSync(path, 'utf8')
  // One that was killed has left the file.
  return status.startsWith(`${pid}\n`) && /^ready/m.test(status)
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

if (import.meta.main) {
  const [folder = '', run = ''] = process.argv.slice(2)
  await watch(folder, Number(run))
}
