#!/usr/bin/env node
/**
 * The program. It keeps what Node makes of the sources from one start to the next: to strip types and
 * to compile is most of the work of a start, in each of its threads, and what does it stays in memory.
 * So this file alone has no types to strip.
 *
 * @module
 */

import { enableCompileCache } from 'node:module'
import { join } from 'node:path'

// Beside the sources, and as safe from others as these are. Where nothing can be written, nothing is
// kept.
const folder = join(import.meta.dirname, '../node_modules/.cache/hansa')
const { directory } = enableCompileCache(folder)
// Threads have it from the environment.
if (directory !== undefined) process.env.NODE_COMPILE_CACHE ??= folder

await import('../src/cli/main.ts')
