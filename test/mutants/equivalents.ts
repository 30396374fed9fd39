/**
 * Mutants that make no difference which a test of what the spec says could see, each with the reason.
 *
 * @module
 */

import { equivalentsOfResolution } from './equivalents-of-resolution.ts'
import type { Task } from './subjects.ts'

export interface Equivalents {
  readonly file: string
  readonly because: string
  /** Lines as they are in the file, and as they are in the mutant. */
  readonly changes: readonly (readonly [was: string, is: string])[]
}

export const equivalents: readonly Equivalents[] = [
  ...equivalentsOfResolution,
  {
    file: 'src/protocol/auth-rules/room-members.ts',
    because: 'What is remembered is the same when it is made again.',
    changes: [['if (known !== undefined) return known', 'if (false) return known']],
  },
  {
    file: 'src/protocol/auth-rules/room-members.ts',
    because: 'Nobody asks for a user who is no text.',
    changes: [
      [
        "for (const userId of additional) if (typeof userId === 'string') creators.add(userId)",
        'for (const userId of additional) if (true) creators.add(userId)',
      ],
    ],
  },
  {
    file: 'src/protocol/auth-rules/auth-state.ts',
    because: 'Nobody asks for a state key that there is not.',
    changes: [['if (pdu.state_key === undefined) continue', 'if (false) continue']],
  },
  {
    file: 'src/protocol/auth-rules/power-levels.ts',
    because:
      'Before version 12 nobody is a privileged creator, and an event without a create event is refused before.',
    changes: [
      [
        'if (!version.privilegedCreators || create === undefined) return undefined',
        'if (false) return undefined',
      ],
      [
        'if (!version.privilegedCreators || create === undefined) return undefined',
        'if (!version.privilegedCreators && create === undefined) return undefined',
      ],
    ],
  },
  {
    file: 'src/protocol/hashes.ts',
    because: 'The bytes of an equal text are equal: comparing the texts first saves work.',
    changes: [['if (written === expected) return true', 'if (false) return true']],
  },
  {
    file: 'src/protocol/auth-rules/third-party-signature.ts',
    because: 'The pairs are counted below as well: these bound what is decoded.',
    changes: [
      ['if (signatures.length >= pairsMax) return signatures', 'if (false) return signatures'],
      [
        'if (signatures.length >= pairsMax) return signatures',
        'if (signatures.length > pairsMax) return signatures',
      ],
    ],
  },
  {
    file: 'src/protocol/check-pdu.ts',
    because: 'What redaction leaves of an event has all that the format asks for.',
    changes: [
      [
        "if (typeof kept === 'string') return { ok: false, eventId, reason: kept }",
        'if (false) return { ok: false, eventId, reason: kept }',
      ],
      [
        "if (typeof kept === 'string') return { ok: false, eventId, reason: kept }",
        "if (typeof kept === 'string') return { ok: true, eventId, reason: kept }",
      ],
    ],
  },
  {
    file: 'src/protocol/check-pdu.ts',
    because: 'What is left of an event names no authoriser that the event did not name.',
    changes: [
      [
        "if (typeof requiredOfKept === 'string') return requiredOfKept",
        'if (false) return requiredOfKept',
      ],
    ],
  },
  {
    file: 'src/protocol/signature-needs.ts',
    because: 'What is no text is no JSON either.',
    changes: [['if (text === undefined) return undefined', 'if (false) return undefined']],
  },
]

/** Whether a mutant makes no difference: the change that it is in the table. */
export function equivalentOf({
  file,
  mutant,
}: Task): readonly [was: string, is: string] | undefined {
  return equivalents
    .filter((one) => one.file === file)
    .flatMap(({ changes }) => changes)
    .find(([was, is]) => was === mutant.lineWas && is === mutant.lineIs)
}
