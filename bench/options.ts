/**
 * The command line of the bench.
 *
 * @module
 */

import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type RoomVersion, roomVersions } from '#protocol/room-version.ts'
import { findPython } from '../test/rig/python.ts'
import { type StoreKind, storeKinds } from './store.ts'
import type { Kind } from './subject.ts'
import type { Sizes, Workload } from './workload.ts'
import { backfill } from './workloads/backfill.ts'
import { edus } from './workloads/edus.ts'
import { fanOut, fanOutMemory } from './workloads/fan-out.ts'
import { inboundOne, inboundTwenty } from './workloads/inbound.ts'
import { joins } from './workloads/join.ts'
import {
  localSends,
  localSendsAlone,
  localSendsFive,
  localSendsTwenty,
} from './workloads/local-sends.ts'
import { restart } from './workloads/restart.ts'
import { syncs } from './workloads/syncs.ts'

const allWorkloads: readonly Workload[] = [
  inboundOne,
  inboundTwenty,
  localSends,
  localSendsFive,
  localSendsAlone,
  localSendsTwenty,
  edus,
  fanOut,
  fanOutMemory,
  backfill,
  ...joins,
  ...syncs,
  restart,
]

export interface Options {
  readonly workloads: readonly Workload[]
  readonly kinds: readonly Kind[]
  readonly version: RoomVersion
  readonly sizes: Sizes
  /** Where both keep everything. */
  readonly database: StoreKind
  /** Where Hansa's CPU profile is written, if it is to be made. */
  readonly profile: string | undefined
  /** How long a server that has just started is let alone before its memory is looked at. */
  readonly idleMs: number
  /** The file for the report. */
  readonly json: string
  /** Where progress is told. */
  tell(line: string): void
}

const usage = `npm run bench -- [WORKLOAD …] [OPTION …]

${allWorkloads.map(({ name, about }) => `  ${name.padEnd(20)}${about}`).join('\n')}

  --no-synapse          Hansa alone
  --no-hansa            Synapse alone
  --events N            events of each repetition, instead of as many as suit the server
  --members N           members of the rooms that are joined
  --repetitions N       how often each is repeated
  --room-version V      12 where it is not said
  --database D          sqlite, or postgres: a cluster of its own, if PostgreSQL is installed
  --json FILE           where the figures go
  --profile FOLDER      makes CPU profiles of Hansa`

export function readOptions(args: readonly string[]): Options {
  const { values, positionals } = argumentsIn(args)
  if (values.help) end(usage, 0)
  const version = roomVersions.get(values['room-version'])
  if (version === undefined) end(`There is no room version ${values['room-version']}.`)
  return {
    workloads: positionals.length === 0 ? allWorkloads : positionals.map(workloadOf),
    kinds: kindsOf(values),
    version,
    sizes: {
      events: countOf('events', values.events),
      members: countOf('members', values.members),
      repetitions: countOf('repetitions', values.repetitions),
    },
    database:
      storeKinds.find((kind) => kind === values.database) ??
      end('--database is sqlite or postgres.'),
    profile: values.profile,
    idleMs: 1000,
    json: values.json ?? join('.cache', 'bench', `${new Date().toISOString()}.json`),
    tell: (line) => console.error(line),
  }
}

function argumentsIn(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], ...accepted })
  } catch (error) {
    return end(`${error instanceof Error ? error.message : error}\n\n${usage}`)
  }
}

const accepted = {
  allowPositionals: true,
  allowNegative: true,
  options: {
    synapse: { type: 'boolean', default: true },
    hansa: { type: 'boolean', default: true },
    events: { type: 'string' },
    members: { type: 'string' },
    repetitions: { type: 'string' },
    'room-version': { type: 'string', default: '12' },
    database: { type: 'string', default: 'sqlite' },
    json: { type: 'string' },
    profile: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
} as const

function workloadOf(name: string): Workload {
  const found = allWorkloads.find((workload) => workload.name === name)
  return found ?? end(`There is no workload ${name}.\n\n${usage}`)
}

function kindsOf({ hansa, synapse }: { hansa: boolean; synapse: boolean }): Kind[] {
  const hasPython = findPython() !== undefined
  if (synapse && !hasPython) {
    console.error(
      'There is no Python with Synapse, so Hansa runs alone: test/rig/install-python.sh',
    )
  }
  const withSynapse = synapse && hasPython
  return [...(hansa ? ['hansa' as const] : []), ...(withSynapse ? ['synapse' as const] : [])]
}

function countOf(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const count = Number(text)
  return Number.isSafeInteger(count) && count > 0 ? count : end(`--${name} wants a number.`)
}

function end(message: string, code = 2): never {
  console.error(message)
  process.exit(code)
}
