/**
 * A disk as the kernel promises it, and no better: what was written to a file is there after a power loss
 * if the file was synced since, and so is a name if its folder was. Of all else any part may be there: some
 * of the writes, some of their sectors, names without the files' content, content without its name.
 *
 * @module
 */

import { mkdirSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { SeededRandom } from '../../src/io/simulated/simulated-random.ts'
import type { Call } from './calls.ts'

/** What a disk writes whole or not at all. */
const sectorBytes = 512
/** Modes are not followed: nobody else reads any of the files. */
const fileMode = 0o600

/** Bytes at a place of a file, or its new length. It may be there in part from `startS` on. */
interface Change {
  readonly startS: number
  readonly endS: number
  readonly at: number
  /** Without them, the file has this length. */
  readonly bytes?: Buffer
}

interface File {
  readonly kind: 'file'
  synced: Buffer
  pending: Change[]
}

interface Folder {
  readonly kind: 'folder'
  readonly synced: Map<string, Inode>
  pending: Entry[]
}

type Inode = File | Folder

/** A name that is given or taken. */
interface Entry {
  readonly startS: number
  readonly endS: number
  readonly name: string
  readonly inode: Inode | undefined
  /** A name is not taken by a renaming that has not given the other one. */
  readonly after?: { readonly folder: Folder; readonly entry: Entry }
}

/** Which part is there of what was not synced. */
export type Loss = 'all' | 'nothing' | 'after a moment' | 'some writes' | 'some sectors' | 'one'
const losses: readonly Loss[] = ['all', 'after a moment', 'some writes', 'some sectors', 'one']

export class Disk {
  readonly #root: string
  readonly #top: Folder = { kind: 'folder', synced: new Map(), pending: [] }
  /** Where writes without a place go on, by descriptor. */
  readonly #places = new Map<string, number>()
  /** How often something was synced that had changed. */
  syncs = 0

  /** `root` is a folder that is there; its parents are not looked at. */
  constructor(root: string) {
    this.#root = root
  }

  /** Does what a call does. Calls come in the order in which they ended, of all processes together. */
  apply(call: Call): void {
    if (call.result === -1) return
    const { name, path, texts, startS, endS } = call
    const when = { startS, endS }
    const [first = '', second = ''] = texts.map(String)
    if (name === 'openat' || name === 'open') this.#open(call, texts.at(-1)?.toString() ?? '')
    else if (name === 'mkdir' || name === 'mkdirat') this.#give(first, emptyFolder(), when)
    else if (name.startsWith('rename')) this.#rename(first, second, when)
    else if (name.startsWith('unlink') || name === 'rmdir') this.#give(first, undefined, when)
    else if (/^(?:f(?:data)?sync)$/.test(name)) this.#sync(path ?? '', when)
    else if (/link/.test(name)) throw new Error(`${name} ${first}: links are not thought of here`)
    else this.#change(call, when)
  }

  #isInside(path: string): boolean {
    return path === this.#root || path.startsWith(`${this.#root}/`)
  }

  #inode(path: string): Inode | undefined {
    if (path === this.#root) return this.#top
    const folder = this.#inode(dirname(path))
    if (folder?.kind !== 'folder') return undefined
    const name = basename(path)
    const newest = folder.pending.findLast((entry) => entry.name === name)
    return newest === undefined ? folder.synced.get(name) : newest.inode
  }

  #folderOf(path: string): Folder {
    const folder = this.#inode(dirname(path))
    if (folder?.kind !== 'folder') throw new Error(`${path} is in a folder that nobody made`)
    return folder
  }

  #give(path: string, inode: Inode | undefined, when: Pick<Entry, 'startS' | 'endS'>): void {
    if (!this.#isInside(path)) return
    this.#folderOf(path).pending.push({ ...when, name: basename(path), inode })
  }

  #rename(from: string, to: string, when: Pick<Entry, 'startS' | 'endS'>): void {
    if (!this.#isInside(from)) return
    const inode = this.#inode(from)
    if (inode === undefined) throw new Error(`${from} is renamed, and nobody made it`)
    const given = { ...when, name: basename(to), inode }
    const folder = this.#folderOf(to)
    folder.pending.push(given)
    const after = { folder, entry: given }
    this.#folderOf(from).pending.push({ ...when, name: basename(from), inode: undefined, after })
  }

  #open(call: Call, path: string): void {
    if (!this.#isInside(path)) return
    const { startS, endS, rest } = call
    if (rest.includes('O_DIRECTORY')) return
    this.#places.set(`${path} ${call.result}`, 0)
    const known = this.#inode(path)
    if (known === undefined && rest.includes('O_CREAT')) {
      const file: File = { kind: 'file', synced: Buffer.alloc(0), pending: [] }
      this.#give(path, file, { startS, endS })
    } else if (known?.kind === 'file' && rest.includes('O_TRUNC')) {
      known.pending.push({ startS, endS, at: 0 })
    }
  }

  #change(call: Call, when: Pick<Change, 'startS' | 'endS'>): void {
    const { name, path = '', texts, rest } = call
    if (!this.#isInside(path)) return
    const file = this.#inode(path)
    if (file?.kind !== 'file') return
    const numbers = rest.match(/\d+/g)?.map(Number) ?? []
    const last = numbers.at(-1) ?? 0
    if (name === 'ftruncate') file.pending.push({ ...when, at: last })
    else if (name === 'pwrite64') file.pending.push({ ...when, at: last, bytes: written(call) })
    else if (name === 'write' || name === 'writev') {
      const key = `${path} ${call.descriptor}`
      const at = this.#places.get(key) ?? 0
      this.#places.set(key, at + call.result)
      file.pending.push({ ...when, at, bytes: written(call) })
    } else throw new Error(`${name} of ${texts.length} pieces is not thought of here`)
  }

  /** What had been written when the call began is there when it has ended. */
  #sync(path: string, when: Pick<Change, 'startS' | 'endS'>): void {
    if (!this.#isInside(path)) return
    const inode = this.#inode(path)
    if (inode === undefined) return
    const isCovered = ({ endS }: Pick<Change, 'endS'>) => endS <= when.startS
    if (inode.pending.some(isCovered)) this.syncs += 1
    if (inode.kind === 'file') {
      inode.synced = changed(inode.synced, inode.pending.filter(isCovered))
      inode.pending = inode.pending.filter((change) => !isCovered(change))
    } else {
      for (const entry of inode.pending.filter(isCovered)) {
        if (entry.after !== undefined) makeSynced(entry.after)
        give(inode.synced, entry)
      }
      inode.pending = inode.pending.filter((entry) => !isCovered(entry))
    }
  }

  /** Writes into a folder what is there when the power fails now. */
  image(target: string, random: SeededRandom, loss: Loss = random.pick(losses)): Loss {
    for (const [path, bytes] of this.contents(random, loss)) {
      if (bytes === undefined) mkdirSync(join(target, path), { recursive: true })
      else writeFileSync(join(target, path), bytes, { mode: fileMode })
    }
    return loss
  }

  /** What is there when the power fails now, by path: bytes of files, and folders without. */
  contents(
    random: SeededRandom,
    loss: Loss = random.pick(losses),
  ): ReadonlyMap<string, Buffer | undefined> {
    const contents = new Map<string, Buffer | undefined>()
    addFolder(contents, { path: '', folder: this.#top }, choiceOf(loss, random, this.#unsynced()))
    return contents
  }

  /** Everything that is not synced, in no order. */
  #unsynced(): (Change | Entry)[] {
    const all: (Change | Entry)[] = []
    const visit = (inode: Inode) => {
      all.push(...inode.pending)
      if (inode.kind === 'file') return
      const below = [...inode.synced.values(), ...inode.pending.map((entry) => entry.inode)]
      for (const one of new Set(below)) if (one !== undefined) visit(one)
    }
    visit(this.#top)
    return all
  }
}

function emptyFolder(): Folder {
  return { kind: 'folder', synced: new Map(), pending: [] }
}

function written({ texts, result }: Call): Buffer {
  return Buffer.concat(texts as Buffer[]).subarray(0, result)
}

function give(entries: Map<string, Inode>, { name, inode }: Entry): void {
  if (inode === undefined) entries.delete(name)
  else entries.set(name, inode)
}

function makeSynced({ folder, entry }: { readonly folder: Folder; readonly entry: Entry }): void {
  if (!folder.pending.includes(entry)) return
  give(folder.synced, entry)
  folder.pending = folder.pending.filter((one) => one !== entry)
}

/** A file after changes, in their order. What was never written between is zero. */
function changed(bytes: Buffer, changes: readonly Change[]): Buffer {
  let length = bytes.length
  let longest = length
  for (const { at, bytes: news } of changes) {
    length = news === undefined ? at : Math.max(length, at + news.length)
    longest = Math.max(longest, length)
  }
  const after = Buffer.alloc(longest)
  bytes.copy(after)
  let end = bytes.length
  for (const { at, bytes: news } of changes) {
    if (news === undefined) {
      if (at < end) after.fill(0, at, end)
      end = at
    } else {
      news.copy(after, at)
      end = Math.max(end, at + news.length)
    }
  }
  return after.subarray(0, length)
}

/** Which changes and names are there, and of a change which of its bytes. */
interface Choice {
  hasHappened(one: Change | Entry): boolean
  /** Whether single sectors of a change may be there. */
  readonly tears: (() => boolean) | undefined
}

function choiceOf(loss: Loss, random: SeededRandom, all: readonly (Change | Entry)[]): Choice {
  if (loss === 'all') return { hasHappened: () => false, tears: undefined }
  if (loss === 'nothing') return { hasHappened: () => true, tears: undefined }
  if (loss === 'after a moment') {
    const untilS = all.length === 0 ? 0 : random.pick(all).startS
    return { hasHappened: ({ startS }) => startS < untilS, tears: undefined }
  }
  if (loss === 'one') {
    const lost = all.length === 0 ? undefined : random.pick(all)
    return { hasHappened: (one) => one !== lost, tears: undefined }
  }
  const share = random.fraction()
  const known = new Map<Change | Entry, boolean>()
  const hasHappened = (one: Change | Entry) =>
    known.getOrInsertComputed(one, () => random.happens(share))
  if (loss === 'some writes') return { hasHappened, tears: undefined }
  // Names are there or not, and lengths of files.
  return {
    hasHappened: (one) => ('bytes' in one ? true : hasHappened(one)),
    tears: () => random.happens(share),
  }
}

function addFolder(
  contents: Map<string, Buffer | undefined>,
  { path, folder }: { readonly path: string; readonly folder: Folder },
  choice: Choice,
): void {
  contents.set(path, undefined)
  const entries = new Map(folder.synced)
  for (const entry of folder.pending) {
    const isGiven = entry.after === undefined || hasGiven(entry.after, choice)
    if (choice.hasHappened(entry) && isGiven) give(entries, entry)
  }
  for (const [name, inode] of entries) {
    const below = join(path, name)
    if (inode.kind === 'folder') addFolder(contents, { path: below, folder: inode }, choice)
    else contents.set(below, contentOf(inode, choice))
  }
}

function hasGiven({ folder, entry }: NonNullable<Entry['after']>, choice: Choice): boolean {
  return !folder.pending.includes(entry) || choice.hasHappened(entry)
}

function contentOf({ synced, pending }: File, { hasHappened, tears }: Choice): Buffer {
  const happened = pending.filter(hasHappened)
  if (tears === undefined) return changed(synced, happened)
  return changed(
    synced,
    happened.flatMap((change) => sectorsOf(change, tears)),
  )
}

/** The parts of a change that are there: each lies within one sector of the disk. */
function sectorsOf(change: Change, isThere: () => boolean): Change[] {
  const { bytes, at, startS, endS } = change
  if (bytes === undefined) return [change]
  const parts: Change[] = []
  for (let from = 0; from < bytes.length; ) {
    const to = Math.min(bytes.length, from + sectorBytes - ((at + from) % sectorBytes))
    if (isThere()) parts.push({ startS, endS, at: at + from, bytes: bytes.subarray(from, to) })
    from = to
  }
  return parts
}
