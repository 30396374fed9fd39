/**
 * Takes the guards out, one entry of the table after the other, and demands that a test fails each
 * time: `npm run guards`, or only some classes: `npm run guards -- A1 C`.
 *
 * A test that fails must do so by an assertion, or with the error that the entry names; a source that
 * no longer loads proves nothing. With all guards in place the same tests pass.
 *
 * - `--write` writes `docs/guards.md`, the table for readers, and runs nothing.
 *
 * @module
 */

import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { type Guard, namePattern, timeUp } from './guard.ts'
import { guards } from './guards.ts'
import { guardsPath, guardsText } from './guards-text.ts'
import { type Outcome, SourceTree } from './tree.ts'

/** How long the tests are given that never end without a guard; with it they take a moment. */
const endlessMs = 20_000

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { write: { type: 'boolean', default: false } },
})

if (values.write) writeFileSync(guardsPath, guardsText())
else await tryAll(guards.filter(({ attack }) => isWanted(attack)))

function isWanted(attack: string): boolean {
  return (
    positionals.length === 0 ||
    positionals.some((wanted) => attack === wanted || attack.replace(/\d+/, '') === wanted)
  )
}

async function tryAll(chosen: readonly Guard[]): Promise<void> {
  const tree = new SourceTree('.')
  const began = performance.now()
  const failures: string[] = []
  const intact = new Map<string, string | undefined>()
  try {
    for (const guard of chosen) {
      const since = performance.now()
      const problem = await problemWithout(tree, guard, intact)
      const seconds = ((performance.now() - since) / 1000).toFixed(1)
      const line = `${guard.attack}: without ${guard.guard} (${seconds} s)`
      console.log(problem === undefined ? `✔ ${line}` : `✖ ${line}\n    ${problem}`)
      if (problem !== undefined) failures.push(line)
    }
  } finally {
    tree.remove()
  }
  const minutes = ((performance.now() - began) / 60_000).toFixed(1)
  console.log(
    `\n${chosen.length - failures.length} passed, ${failures.length} failed in ${minutes} min`,
  )
  for (const line of failures) console.log(`✖ ${line}`)
  if (failures.length > 0 || chosen.length === 0) process.exitCode = 1
}

/** Takes a guard out and says why that proves nothing, if it does not. `intact` is filled on the way. */
async function problemWithout(
  tree: SourceTree,
  guard: Guard,
  intact: Map<string, string | undefined>,
): Promise<string | undefined> {
  const { edits, witness } = guard
  const key = `${witness.file} ${namePattern(witness)}`
  if (!intact.has(key)) intact.set(key, problemOfIntact(await tree.run(witness)))
  const problem = intact.get(key)
  if (problem !== undefined) return problem
  try {
    const outcome = await tree.edited(edits, () => tree.run(witness, limitOf(guard)))
    return problemOf(guard, outcome)
  } catch (error) {
    // The source is another than the table says, or is none any more with the edits.
    if (!(error instanceof Error)) throw error
    return error.message
  }
}

function limitOf({ error }: Guard): number | undefined {
  return error === timeUp ? endlessMs : undefined
}

/** Why a witness proves nothing: it must pass as long as nothing is taken out. */
function problemOfIntact({ ended, inTime, said }: Outcome): string | undefined {
  if (!inTime) return 'the tests take too long with all guards in place'
  const failed = ended.find(({ passed, isOuter }) => !passed && !isOuter)
  if (failed !== undefined)
    return `"${failed.name}" fails with all guards in place: ${failed.message}`
  return ended.length === 0 ? `no test has run with all guards in place: ${said}` : undefined
}

/** Why it is not seen that a guard is out, or not for the right reason. */
function problemOf({ error }: Guard, { ended, inTime, said }: Outcome): string | undefined {
  const failed = ended.filter(({ passed, isOuter }) => !passed && !isOuter)
  if (error === undefined) {
    if (failed.some(({ isAssertion }) => isAssertion)) return undefined
  } else if (error === timeUp ? !inTime : failed.some(({ message }) => message.includes(error))) {
    return undefined
  }
  const [first] = failed
  if (first !== undefined) return `"${first.name}" fails for another reason: ${first.message}`
  if (!inTime) return 'the tests did not end in time'
  return ended.length === 0 ? `no test has run: ${said}` : 'all tests pass'
}
