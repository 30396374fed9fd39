/**
 * The machine a server runs on: how busy its thread is, how full its memory and its disks are.
 *
 * @module
 */

/** How the thread did since it was last asked. */
export interface ThreadLoad {
  /** How much later than due timers came, in milliseconds: 99 of 100 came earlier. */
  readonly lagMs: number
  /** The share of the time in which it had a processor, from 0 to 1. */
  readonly busy: number
}

export interface DiskSpace {
  readonly freeBytes: number
  readonly totalBytes: number
}

export interface Machine {
  /**
   * For how long it stays as it is, and no command changes what a server has stored: nobody need look
   * again sooner. In milliseconds.
   */
  readonly steadyMs: number
  threadLoad(): ThreadLoad
  /** The processor time that this thread has used, in milliseconds: for differences. */
  cpuMs(): number
  /** How much of the memory that this process may have is used, from 0 to 1. */
  memoryShare(): number
  /** Of the disk that a folder is on; `undefined` if that cannot be said. */
  diskSpace(folder: string): Promise<DiskSpace | undefined>
}
