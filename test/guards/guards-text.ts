/**
 * Makes docs/guards.md, the table of guards for readers.
 *
 * @module
 */

import type { Guard } from './guard.ts'
import { guards } from './guards.ts'

export const guardsPath = 'docs/guards.md'

export function guardsText(): string {
  return [
    '# Guards, and the tests that fail without them',
    '',
    'Each line is a guard against a class of attack of [security-tests.md](security-tests.md), and the test that fails when the guard is taken out.',
    '`npm run guards` takes them out, one line after the other, in a copy of the tree, and demands that the test fails by an assertion; `npm run guards -- A1 C` does so for some classes. A whole run takes some twenty minutes on two cores that others use too, and is no part of CI.',
    'On 2026-11-26 all 249 that there were then were taken out at one commit, and each was noticed.',
    '"And" in a guard says that a second one stands behind the first, and both are out.',
    'The file is made from `test/guards/` by `npm run guards -- --write`; `test/guards.test.ts` checks that it is up to date, and that every guard is where the table has it.',
    '',
    `${guards.length} guards of ${new Set(guards.map(({ attack }) => attack)).size} classes.`,
    '',
    '| class | without | in | fails |',
    '| --- | --- | --- | --- |',
    ...guards.map(lineOf),
    '',
  ].join('\n')
}

function lineOf({ attack, guard, edits, witness }: Guard): string {
  const files = [...new Set(edits.map(({ file }) => `\`${file}\``))].join(', ')
  return `| ${attack} | ${guard} | ${files} | \`${witness.file}\`: "${witness.title}" |`
}
