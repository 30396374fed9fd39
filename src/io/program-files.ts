/**
 * Files that are part of the program itself, such as the database's migrations: the same for every
 * server, read once when the module that needs them is loaded, in a simulation too.
 *
 * @module
 */

import { readdirSync, readFileSync } from 'node:fs'

/** The files of a folder whose names end with `suffix`, ordered by name. */
export function programFiles(folder: URL, suffix: string): { name: string; text: string }[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith(suffix))
    .sort()
    .map((name) => ({ name, text: readFileSync(new URL(name, folder), 'utf8') }))
}
