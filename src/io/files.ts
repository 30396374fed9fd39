/**
 * Files: the signing key, certificates, configuration, media.
 *
 * @module
 */

export interface Files {
  /** The whole text of a file, or `undefined` if there is none. */
  readText(path: string): Promise<string | undefined>
  /** Writes a file durably: into a temporary file, synced, then renamed. */
  writeText(path: string, text: string, options?: { readonly mode?: number }): Promise<void>
  /** A file's size and its bytes in pieces, or `undefined` if there is none. */
  open(path: string): Promise<StoredFile | undefined>
  /** Writes a new file durably, piece by piece. Nothing is left of it if `chunks` throws. */
  writeChunks(path: string, chunks: AsyncIterable<Uint8Array>): Promise<void>
  /** Gives a file another name, durably. A file that has that name is replaced. */
  rename(from: string, to: string): Promise<void>
  /** Removes a file, or a folder with all that is in it, durably; nothing happens if there is none. */
  remove(path: string): Promise<void>
  /** Makes a folder, and those above that are not there, durably. */
  makeFolder(path: string): Promise<void>
  /** The permission bits of a file, or `undefined` if there is none. */
  mode(path: string): Promise<number | undefined>
}

export interface StoredFile {
  readonly bytes: number
  /** Reads from the start. The file is open from the first piece to the last. */
  readonly chunks: AsyncIterable<Uint8Array>
}
