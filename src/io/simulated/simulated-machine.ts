/**
 * A machine that is as busy and as full as a test says; at first it is neither.
 *
 * @module
 */

import type { DiskSpace, Machine, ThreadLoad } from '../machine.ts'

export class SimulatedMachine implements Machine {
  steadyMs = 0
  load: ThreadLoad = { lagMs: 0, busy: 0 }
  memory = 0
  disk: DiskSpace | undefined = { freeBytes: 2 ** 50, totalBytes: 2 ** 50 }
  /** How much processor time goes by each time it is looked at, in milliseconds. */
  cpuMsPerLook = 0
  #cpuMs = 0

  threadLoad(): ThreadLoad {
    return this.load
  }

  cpuMs(): number {
    this.#cpuMs += this.cpuMsPerLook
    return this.#cpuMs
  }

  memoryShare(): number {
    return this.memory
  }

  async diskSpace(): Promise<DiskSpace | undefined> {
    return this.disk
  }
}
