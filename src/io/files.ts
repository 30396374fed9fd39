/**
 * Files: the signing key, certificates, configuration.
 *
 * @module
 */

export interface Files {
  /** The whole text of a file, or `undefined` if there is none. */
  readText(path: string): Promise<string | undefined>
  /** Writes a file durably: into a temporary file, synced, then renamed. */
  writeText(path: string, text: string, options?: { readonly mode?: number }): Promise<void>
  makeFolder(path: string): Promise<void>
  /** The permission bits of a file, or `undefined` if there is none. */
  mode(path: string): Promise<number | undefined>
}
